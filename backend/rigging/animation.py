"""A mesh in motion: its vertices in each frame, as a file that numpy reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.io.numpy_files import read_npz
from shared_protocol.errors import UserError

SUFFIX = ".npz"


def read_animation(path: Path) -> np.ndarray:
    """The array `vertices` of the file, float32 [frames, V, 3].

    Raises UserError when the file is missing, is damaged, or holds something else.
    """
    hint = "Save it by numpy.savez(path, vertices=...), frames x vertices x 3."
    (vertices,) = read_npz(path, ("vertices",), holds="animation of a mesh", hint=hint)
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f" or not len(vertices):
        message = f"'{path}' holds no animation of a mesh: its vertices are {vertices.dtype} {vertices.shape}."
        raise UserError("bad_input", message, hint)
    return np.ascontiguousarray(vertices, np.float32)


def file_of_frame(path: Path, frame: int) -> Path:
    """Hashes in the name become the frame's number, of as many digits. Raises UserError when there are none."""
    before, hashes, after = path.name.rpartition("#")
    if not hashes:
        message = f"'{path}' names one file for all frames."
        raise UserError("bad_input", message, "Give a name such as fox_####.ply; the number goes where the # are.")
    start = before.rstrip("#")
    return path.with_name(f"{start}{frame:0{len(before) - len(start) + 1}}{after}")
