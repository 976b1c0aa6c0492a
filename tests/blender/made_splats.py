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
