"""Splats whose picture is known in words: the shell of a ball, coloured by place, solid above and a haze below."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
SH_OF_COLOR = 0.28209479177387814  # of the constant band


def write_fog(path: Path, count: int = 1200, radius: float = 1.0) -> None:
    """A 3DGS PLY: a ball filled with large half-transparent splats, coloured by place as `write_ball` does."""
    numbers = np.random.default_rng(5)
    directions = numbers.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    places = directions * radius * numbers.random((count, 1)) ** (1 / 3)
    _write(path, places, 0.5 + 0.45 * places / radius, np.full(count, 0.15), np.full((count, 3), 0.15 * radius))


def write_ball(path: Path, count: int = 1500, radius: float = 1.0) -> None:
    """A 3DGS PLY. Red grows with x, green with y, blue with z; the upper half is solid, the other one a haze."""
    index = np.arange(count)
    z = 1 - 2 * (index + 0.5) / count
    around = np.sqrt(1 - z * z)
    directions = np.stack([around * np.cos(GOLDEN_ANGLE * index), around * np.sin(GOLDEN_ANGLE * index), z], 1)
    colors = 0.5 + 0.45 * directions
    size = radius * np.sqrt(4 * np.pi / count)  # about the distance of neighbours
    _write(
        path,
        directions * radius,
        colors,
        np.where(z > 0, 0.95, 0.12),
        np.tile(size * np.array([0.7, 0.7, 0.4]), (count, 1)),
    )


def _write(path: Path, places: np.ndarray, colors: np.ndarray, opacity: np.ndarray, scales: np.ndarray) -> None:
    """places, colors, scales: [N, 3]; opacity: [N]. None of the splats is turned."""
    count = len(places)
    fields: dict[str, np.ndarray] = {name: places[:, axis] for axis, name in enumerate("xyz")}
    fields |= {f"f_dc_{axis}": (colors[:, axis] - 0.5) / SH_OF_COLOR for axis in range(3)}
    fields["opacity"] = np.log(opacity / (1 - opacity))
    fields |= {f"scale_{axis}": np.log(scales[:, axis]) for axis in range(3)}
    fields |= {f"rot_{axis}": np.full(count, float(axis == 0)) for axis in range(4)}
    table = np.stack(list(fields.values()), 1).astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header = [*lines, *(f"property float {name}" for name in fields), "end_header", ""]
    path.write_bytes("\n".join(header).encode() + table.tobytes())


def write_shining(path: Path, count: int = 800, seed: int = 0) -> None:
    """A 3DGS PLY as the backend writes one: a cloud of long and flat splats whose colours depend on the view."""
    random = np.random.default_rng(seed)
    names = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(45))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    parts = (
        random.normal(scale=0.5, size=(count, 3)),
        np.zeros((count, 3)),
        random.normal(scale=1.0, size=(count, 3)),
        random.normal(scale=0.25, size=(count, 45)),
        random.normal(0.5, 2.0, size=(count, 1)),
        random.uniform(-4.5, -1.5, size=(count, 3)),
        random.normal(size=(count, 4)),
    )
    table = np.concatenate(parts, 1).astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header = [*lines, *(f"property float {name}" for name in names), "end_header", ""]
    path.write_bytes("\n".join(header).encode() + table.tobytes())


def write_small(path: Path, count: int = 6000, seed: int = 0) -> None:
    """A .safetensors as the backend writes one, of splats far smaller than pixels, trained to be drawn fainter so."""
    random = np.random.default_rng(seed)
    arrays = {
        "means": random.normal(scale=0.5, size=(count, 3)),
        "quats": random.normal(size=(count, 4)),
        "log_scales": random.uniform(-7, -5, size=(count, 3)),
        "opacity_logits": random.normal(3.0, 1.0, size=count),
        "sh": random.normal(scale=1.0, size=(count, 1, 3)),
    }
    header: dict[str, object] = {"__metadata__": {"frame": "opencv", "antialiased": "yes"}}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + 4 * array.size
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    content = b"".join(array.astype("<f4").tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
