"""Splat files made of plain numbers, and the pictures that they must give, splat by splat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_SH_0 = 0.28209479177387814
_NAMES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]
_BLUR = 0.3  # pixels^2 that every splat is widened by, as in gsplat


def write(path: Path, means: np.ndarray, colors: np.ndarray, opacity: float, scales: np.ndarray | float) -> None:
    """means: [N, 3]. colors: [N, 3] sRGB 0..1, the same from all sides. scales: standard deviations."""
    rows = np.zeros((len(means), len(_NAMES)), np.float32)
    rows[:, :3] = means
    rows[:, 6:9] = (colors - 0.5) / _SH_0
    rows[:, 9] = np.log(opacity / (1 - opacity))
    rows[:, 10:13] = np.log(scales)
    rows[:, 13] = 1
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for name in _NAMES]
    path.write_bytes(("\n".join([*header, "end_header"]) + "\n").encode() + rows.tobytes())


def drawn(
    means: np.ndarray, colors: np.ndarray, opacity: float, scale: float, camera: Any, surface: np.ndarray
) -> np.ndarray:
    """Round splats before a surface in float64, [H, W, 4] premultiplied: every splat at every pixel.

    camera: the protocol's, perspective. surface: [H, W, S] distances along the viewing axis; their blends are averaged.
    """
    matrix = np.reshape(camera.camera_from_world, (4, 4))
    seen = means.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    seen, order = seen[np.argsort(seen[:, 2])], np.argsort(seen[:, 2])
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    color = np.zeros((*surface.shape, 4))
    through = np.ones(surface.shape)
    for (px, py, pz), own in zip(seen, colors[order].astype(np.float64), strict=True):
        across = np.array([[camera.fx / pz, 0, -camera.fx * px / pz**2], [0, camera.fy / pz, -camera.fy * py / pz**2]])
        inverse = np.linalg.inv(scale**2 * across @ across.T + _BLUR * np.eye(2))
        dx, dy = x - (camera.fx * px / pz + camera.cx), y - (camera.fy * py / pz + camera.cy)
        power = 0.5 * (inverse[0, 0] * dx * dx + inverse[1, 1] * dy * dy) + inverse[0, 1] * dx * dy
        alpha = np.minimum(opacity * np.exp(-power), 0.999)
        alpha = np.where(alpha < 1 / 255, 0, alpha)[..., None] * (pz <= surface)
        color += (alpha * through)[..., None] * np.array([*own, 1.0])
        through *= 1 - alpha
    return color.mean(2)
