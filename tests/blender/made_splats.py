"""Splats whose picture is known in words: the shell of a ball, coloured by place, solid above and a haze below."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
SH_OF_COLOR = 0.28209479177387814  # of the constant band


def write_ball(path: Path, count: int = 1500, radius: float = 1.0) -> None:
    """A 3DGS PLY. Red grows with x, green with y, blue with z; the upper half is solid, the other one a haze."""
    index = np.arange(count)
    z = 1 - 2 * (index + 0.5) / count
    around = np.sqrt(1 - z * z)
    directions = np.stack([around * np.cos(GOLDEN_ANGLE * index), around * np.sin(GOLDEN_ANGLE * index), z], 1)
    colors = 0.5 + 0.45 * directions
    size = radius * np.sqrt(4 * np.pi / count)  # about the distance of neighbours
    fields: dict[str, np.ndarray] = {name: directions[:, axis] * radius for axis, name in enumerate("xyz")}
    fields |= {f"f_dc_{axis}": (colors[:, axis] - 0.5) / SH_OF_COLOR for axis in range(3)}
    opacity = np.where(z > 0, 0.95, 0.12)
    fields["opacity"] = np.log(opacity / (1 - opacity))
    fields |= {f"scale_{axis}": np.full(count, np.log(size * (0.7, 0.7, 0.4)[axis])) for axis in range(3)}
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
