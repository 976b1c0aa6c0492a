"""Copies of splats beside a .blend as Blender itself draws them: read with numpy alone, the weightiest splats first.

A copy is a 3DGS PLY as the backend writes it, or a .safetensors where the splats may be bound to a mesh.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import errors, messages
from . import splat_arrays

Array = npt.NDArray[np.float32]

MOST_COEFFICIENTS = 16  # of harmonics of degree 3; those of a higher degree are left out

_PLY_TYPES = {
    **{"float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8"},
    **{"char": "<i1", "int8": "<i1", "uchar": "<u1", "uint8": "<u1", "short": "<i2", "int16": "<i2"},
    **{"ushort": "<u2", "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4"},
}
_LARGEST_HEADER = 2**16  # bytes; ours take some thousand
_LARGEST_LOGIT = 20.0  # stands in for infinity: its sigmoid is 1
_SCALE = ("scale_0", "scale_1", "scale_2")
_REST = "f_rest_"


class StoredSplats(msgspec.Struct, frozen=True):
    """N splats of a copy, after activation, in the asset's frame; the weightiest come first.

    A splat weighs its opacity times the area of its largest side.
    """

    means: Array  # [N, 3]
    covariances: Array  # [N, 6] xx, xy, xz, yy, yz, zz
    opacities: Array  # [N]
    sh: Array  # [N, K, 3], K = 1, 4, 9 or 16
    total: int  # that the copy holds
    antialiased: bool = False  # were trained to be drawn fainter where they are small

    def __len__(self) -> int:
        return len(self.means)


def read(path: Path, most: int) -> StoredSplats:
    """The `most` weightiest splats of a copy; those that hold NaN or Inf are left out. May take long.

    Raises UserError when the file is missing, damaged or no copy of splats.
    """
    if path.suffix.lower() == ".safetensors":
        splats = splat_arrays.read(path)
        rows = _weightiest(splats.opacity_logits, splats.log_scales, most)
        arrays = (splats.means, splats.quats, splats.log_scales, splats.opacity_logits, splats.sh)
        means, quats, log_scales, logits, sh = (array[rows] for array in arrays)
        picked = messages.Splats(means, quats, log_scales, logits, sh)
        return _activated(picked, len(splats.means), splat_arrays.facts(path).get("antialiased") == "yes")
    vertices = _vertices(path)
    rows = _weightiest(vertices["opacity"], _columns(vertices, _SCALE), most)
    return _activated(_splats(vertices[rows]), len(vertices))


# ---- 3DGS PLY


def _vertices(path: Path) -> np.ndarray:
    """The file's element "vertex", mapped from it: a structured array [N]."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_LARGEST_HEADER)
        text, end, _ = head.partition(b"end_header\n")
        count, dtype = _described(text.decode("ascii"), bool(end))
        first = len(text) + len(end)
        if path.stat().st_size < first + count * dtype.itemsize:
            raise _damaged(path, "it is shorter than it says")
        if not count:
            return np.zeros(0, dtype)
        return np.memmap(path, dtype, "r", first, (count,))
    except OSError as error:
        raise errors.UserError("not_found", f"'{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, _NotSplats) else "its header cannot be read"
        raise _damaged(path, reason) from error


class _NotSplats(ValueError):
    """Says what is missing."""


def _described(header: str, is_whole: bool) -> tuple[int, np.dtype]:
    """How many vertices there are, and what each holds. Raises ValueError for a file that is none of ours."""
    lines = header.split("\n")
    if not is_whole or lines[:2] != ["ply", "format binary_little_endian 1.0"]:
        raise _NotSplats("it does not begin as a binary PLY")
    count, fields, elements = 0, dict[str, str](), 0
    for words in map(str.split, lines[2:]):
        match words:
            case ["element", "vertex", number] if not elements:
                elements, count = 1, int(number)
            case ["element", *_]:
                elements += 1  # what comes after the vertices is nothing to us
            case ["property", kind, name] if elements == 1 and name not in fields:
                fields[name] = _PLY_TYPES.get(kind) or _refuse(f"'{name}' is a '{kind}'")
            case ["property", *_] if elements == 1:
                raise _NotSplats("its vertices hold a list, or the same twice")
            case _:
                pass
    wanted = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", *_SCALE, "rot_0", "rot_1", "rot_2", "rot_3")
    for name in wanted:
        if name not in fields:
            raise _NotSplats(f"it has no property '{name}'")
    rest = sum(name.startswith(_REST) for name in fields)
    if rest not in (0, 9, 24, 45, 72) or not all(f"{_REST}{i}" in fields for i in range(rest)) or count < 0:
        raise _NotSplats("it has harmonics that belong to no degree")
    return count, np.dtype(list(fields.items()))


def _refuse(reason: str) -> str:
    raise _NotSplats(reason)


def _splats(vertices: np.ndarray) -> messages.Splats:
    """vertices: structured [N]."""
    names = ("x", "y", "z", "rot_0", "rot_1", "rot_2", "rot_3", *_SCALE, "opacity", "f_dc_0", "f_dc_1", "f_dc_2")
    rest = sum(name.startswith(_REST) for name in vertices.dtype.names or ())
    table = _columns(vertices, (*names, *(f"{_REST}{i}" for i in range(rest))))
    means, quats, scales, opacity, base, others = (
        table[:, first:end] for first, end in pairwise((0, 3, 7, 10, 11, 14, 14 + rest))
    )
    # The file holds all coefficients of red, then green, then blue.
    others = others.reshape(len(table), 3, rest // 3).transpose(0, 2, 1)
    return messages.Splats(means, quats, scales, opacity[:, 0], np.concatenate([base[:, None], others], 1))


def _columns(vertices: np.ndarray, names: tuple[str, ...]) -> Array:
    """[N, len(names)]"""
    table = np.empty((len(vertices), len(names)), np.float32)
    for column, name in enumerate(names):
        table[:, column] = vertices[name]
    return table


def _damaged(path: Path, reason: str) -> errors.UserError:
    return errors.UserError("bad_input", f"'{path}' is damaged: {reason}.", "Write the copy again.")


# ---- of whatever file


def _weightiest(opacity_logits: np.ndarray, log_scales: np.ndarray, most: int) -> npt.NDArray[np.int64]:
    """Rows in the order of their weight."""
    with np.errstate(over="ignore", invalid="ignore"):
        area = log_scales.sum(1) - log_scales.min(1)  # logarithm
        weight = area - np.logaddexp(0, -np.asarray(opacity_logits, np.float32))
    order = np.argsort(-np.nan_to_num(weight, nan=-np.inf), kind="stable")
    return order[:most]


def _activated(splats: messages.Splats, total: int, antialiased: bool = False) -> StoredSplats:
    with np.errstate(over="ignore", invalid="ignore"):
        logits = np.clip(splats.opacity_logits, -_LARGEST_LOGIT, _LARGEST_LOGIT).astype(np.float32)
        found = StoredSplats(
            means=np.ascontiguousarray(splats.means, np.float32),
            covariances=_covariances(splats.quats, np.exp(splats.log_scales)),
            opacities=np.reciprocal(1 + np.exp(-logits)),
            sh=np.ascontiguousarray(splats.sh[:, :MOST_COEFFICIENTS], np.float32),
            total=total,
            antialiased=antialiased,
        )
    whole = np.isfinite(found.opacities) & np.isfinite(found.sh).all((1, 2))
    whole &= np.isfinite(found.means).all(1) & np.isfinite(found.covariances).all(1)
    if whole.all():
        return found
    arrays = (found.means, found.covariances, found.opacities, found.sh)
    return StoredSplats(*(array[whole] for array in arrays), total=total, antialiased=antialiased)


def _covariances(quats: np.ndarray, scales: np.ndarray) -> Array:
    """[N, 6]; rotations of length zero, which have no direction, count as none."""
    quats = np.where(quats.any(1, keepdims=True), quats, np.array([1, 0, 0, 0], np.float32))
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    axes = [np.stack(row, 1) * scales for row in rows]  # [N, 3] each: a row of the rotation, scaled
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    return np.stack([(axes[one] * axes[other]).sum(1) for one, other in pairs], 1).astype(np.float32)
