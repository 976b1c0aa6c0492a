"""Reads a PLY of coloured points, as nerfstudio puts beside its cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from backend.captures.capture import PointCloud
from shared_protocol.errors import UserError


def read_points(path: Path) -> PointCloud:
    """Points without a colour become mid grey; points that are not finite are dropped.

    Raises UserError for a file that is no PLY, is cut off, or has no x, y, z.
    """
    hint = "Export the points again as a PLY with x, y, z, red, green, blue, or take ply_file_path out."
    try:
        vertices = PlyData.read(path)["vertex"]
        positions = np.stack([np.asarray(vertices[axis], np.float32) for axis in "xyz"], axis=-1)
    except (PlyParseError, KeyError, ValueError, OSError, EOFError) as error:
        raise UserError("bad_input", f"{path} is not a readable PLY of points: {error}.", hint) from error
    names = [p.name for p in vertices.properties]
    if {"red", "green", "blue"} <= set(names):
        colors = np.stack([np.asarray(vertices[c]) for c in ("red", "green", "blue")], axis=-1)
        if colors.dtype.kind == "f":
            colors = np.rint(np.nan_to_num(colors) * 255)
        colors = colors.clip(0, 255).astype(np.uint8)
    else:
        colors = np.full_like(positions, 128, dtype=np.uint8)
    finite = np.isfinite(positions).all(axis=1)
    return PointCloud(positions[finite], colors[finite])
