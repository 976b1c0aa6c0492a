"""A mesh in motion: its vertices in each frame, as a file that numpy reads."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from shared_protocol.errors import UserError

SUFFIX = ".npz"


def read_animation(path: Path) -> np.ndarray:
    """The array `vertices` of the file, float32 [frames, V, 3].

    Raises UserError when the file is missing, is damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            vertices = arrays["vertices"]
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        hint = "Save it by numpy.savez(path, vertices=...), frames x vertices x 3."
        raise UserError("bad_input", f"'{path}' holds no animation of a mesh.", hint) from error
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f" or not len(vertices):
        message = f"'{path}' holds no animation of a mesh: its vertices are {vertices.dtype} {vertices.shape}."
        raise UserError("bad_input", message, "They must be frames x vertices x 3 numbers.")
    return np.ascontiguousarray(vertices, np.float32)


def file_of_frame(path: Path, frame: int) -> Path:
    """Hashes in the name become the frame's number, of as many digits. Raises UserError when there are none."""
    before, hashes, after = path.name.rpartition("#")
    if not hashes:
        message = f"'{path}' names one file for all frames."
        raise UserError("bad_input", message, "Give a name such as fox_####.ply; the number goes where the # are.")
    start = before.rstrip("#")
    return path.with_name(f"{start}{frame:0{len(before) - len(start) + 1}}{after}")
