"""Reads PLY files of coloured points as round splats, with which a training could begin."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.ply import POSITION, rows_of
from backend.splats.io.ply_header import MAGIC, read_header
from backend.splats.neighbours import neighbour_distances
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError

_COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_SPLATS_HAVE = (b"f_dc_0", b"opacity", b"scale_0", b"rot_0", b"packed_position")
_GREY = 0.5
_OPACITY = 0.5  # with which trainings begin
# Of the middle distance between neighbours: coincident points would have size 0, a lonely one would hide everything.
_SMALLEST, _LARGEST = 0.01, 10.0


def read(path: Path) -> SplatContent:
    """A splat at each point, as wide as its three nearest neighbours are far, and grey where the file has no colours.

    Raises UserError when the file is damaged or holds a mesh.
    """
    path = Path(path)
    header = read_header(path)
    vertex, faces = header.element("vertex"), header.element("face")
    if vertex is None or not set(POSITION) <= vertex.properties.keys():
        raise damaged(path, "it has no points")
    if faces is not None and faces.count:
        hint = "Open meshes with Blender's own importer; splats come in a file that a splat trainer or editor wrote."
        raise UserError("bad_input", f"'{path}' holds a mesh, not splats.", hint)
    names = next((names for names in _COLORS if set(names) <= vertex.properties.keys()), None)
    with rows_of(path, header) as rows:
        block = rows.block(0, len(rows))
        means = np.empty((len(rows), 3), np.float32)
        block.take(POSITION, means)
        colors = np.full((len(rows), 3), _GREY, np.float32)
        if names is not None:
            block.take(names, colors)
            kind = rows.dtype[names[0]]
            if kind.kind in "iu":
                colors /= np.iinfo(kind).max
    whole = np.isfinite(np.concatenate([means, colors], axis=1)).all(axis=1)
    notes = ["The file holds points without shape; each became a round splat."]
    if not whole.all():
        notes.append(f"Left out {np.count_nonzero(~whole):,} of {len(means):,} points that hold NaN or Inf.")
    return SplatContent(_splats(means[whole], colors[whole]), notes=tuple(notes))


def _splats(means: np.ndarray, colors: np.ndarray) -> SplatCloud:
    count = len(means)
    distances = neighbour_distances(means, workers=os.cpu_count() or 1)
    if distances is None:
        distances = np.ones(count)
    else:
        usual = float(np.median(distances)) or 1.0
        distances = distances.clip(_SMALLEST * usual, _LARGEST * usual)
    return SplatCloud(
        means,
        np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        np.repeat(np.log(distances)[:, None], 3, axis=1).astype(np.float32),
        np.full(count, np.log(_OPACITY / (1 - _OPACITY)), np.float32),
        ((colors - np.float32(0.5)) / np.float32(C0))[:, None, :],
    )


def _recognises(head: bytes, path: Path) -> bool:
    header, end, _ = head.partition(b"end_header")
    return head.startswith(MAGIC) and bool(end) and not any(name in header for name in _SPLATS_HAVE)


FORMAT = Format(
    name="points",
    label="point cloud PLY",
    suffixes=(".ply",),
    frame="opencv",
    sh_degree=0,
    recognises=_recognises,
    read=read,
)
