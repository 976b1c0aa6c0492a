"""How much each vertex of a mesh counts: from an array's file, or from a property of the mesh's own PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.io.numpy_files import read_npz
from backend.splats.io.ply import rows_of
from backend.splats.io.ply_header import read_header
from shared_protocol.errors import UserError

_FILES = (".npy", ".npz")
_HOLDS = "weights of vertices"
_HINT = "Save one number from 0 to 1 for each vertex, by numpy.save, or numpy.savez(path, weights=...)."


def read_weights(source: str, mesh: Path, count: int) -> np.ndarray:
    """Of `count` vertices, [V] float32 0..1.

    source: a .npy file of [V], a .npz file with the array `weights`, or the name of a property of the vertices in the
    PLY file `mesh`, such as red; there whole numbers count from 0 to the largest that they can be.
    Raises UserError for what holds none, or others than 0..1.
    """
    suffix = Path(source).suffix.lower()
    if suffix in _FILES:
        weights, where = _of_file(Path(source), suffix), f"'{source}'"
    else:
        weights, where = _of_property(source, mesh), f"The property '{source}' of '{mesh}'"
    if weights.dtype.kind not in "fiub" or weights.shape != (count,):
        raise UserError("bad_input", f"{where} holds {weights.dtype} {weights.shape} for {count:,} vertices.", _HINT)
    weights = weights.astype(np.float32)
    if not ((weights >= 0) & (weights <= 1)).all():
        raise UserError("bad_input", f"{where} holds weights that are not from 0 to 1.", _HINT)
    return weights


def _of_file(path: Path, suffix: str) -> np.ndarray:
    if suffix == ".npz":
        return read_npz(path, ("weights",), holds=_HOLDS, hint=_HINT)[0]
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    try:
        weights = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise UserError("bad_input", f"'{path}' holds no {_HOLDS}.", _HINT) from error
    if not isinstance(weights, np.ndarray):  # numpy goes by the content: it was a .npz file of another name
        raise UserError("bad_input", f"'{path}' holds no {_HOLDS}.", _HINT)
    return weights


def _of_property(name: str, mesh: Path) -> np.ndarray:
    hint = f"Name a .npy or .npz file, or a property of the vertices of a PLY file. {_HINT}"
    if mesh.suffix.lower() != ".ply":
        raise UserError("bad_input", f"'{name}' is no file of weights, and '{mesh}' is no PLY file.", hint)
    header = read_header(mesh)
    vertex = header.element("vertex")
    names = () if vertex is None else tuple(vertex.properties)
    if name not in names:
        message = f"The vertices of '{mesh}' have no property '{name}'."
        raise UserError("bad_input", message, f"They have {', '.join(names)}.")
    with rows_of(mesh, header) as rows:
        values = rows.block(0, len(rows)).column(name)
    return values / np.iinfo(values.dtype).max if values.dtype.kind in "iu" else values
