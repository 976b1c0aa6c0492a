"""Reads and writes splat clouds as PLY files in the layout of the 3D Gaussian Splatting authors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import plyfile

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.io.atomic import atomic_file
from backend.splats.io.content import SplatContent
from backend.splats.io.file_format import Format
from shared_protocol.errors import UserError

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")  # always zero; some readers expect the columns to be there
BASE_COLOR = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")

# 2D Gaussian Splatting writes discs, without scale_2. A disc becomes a splat this much thinner than it is wide.
FLATNESS = np.float32(np.log(1e-4))


def read(path: Path) -> SplatContent:
    """The splats of a PLY file: ascii or binary of either byte order, properties in any order, SH degree 0-4.

    Raises UserError when the file is damaged or holds something else than splats.
    """
    path = Path(path)
    vertices = _read_vertices(path)
    names = vertices.dtype.names or ()
    flat = "scale_2" not in names
    required = (*POSITION, *BASE_COLOR, "opacity", *(SCALE[:2] if flat else SCALE), *ROTATION)
    missing = [name for name in required if name not in names]
    if missing:
        raise UserError(
            "bad_input",
            f"'{path}' is a PLY file but not one of splats: it has no property '{missing[0]}'.",
            "Meshes and point clouds are PLY files too; choose a file written by a splat trainer or editor.",
        )
    rest = _rest_names(path, names)
    columns = _table(vertices, (*required, *rest))
    offset = np.cumsum([0, 3, 3, 1, 2 if flat else 3, 4, len(rest)])
    means, base, opacity, log_scales, quats, sh_rest = (columns[:, a:b] for a, b in pairwise(offset))
    if flat:
        log_scales = np.concatenate([log_scales, log_scales.min(axis=1, keepdims=True) + FLATNESS], axis=1)
    # The file holds all coefficients of red, then green, then blue; we hold the colours of each coefficient.
    sh_rest = sh_rest.reshape(len(columns), 3, len(rest) // 3).transpose(0, 2, 1)
    return SplatContent(
        SplatCloud(
            means=np.ascontiguousarray(means),
            quats=np.ascontiguousarray(quats),
            log_scales=np.ascontiguousarray(log_scales),
            opacity_logits=np.ascontiguousarray(opacity[:, 0]),
            sh=np.ascontiguousarray(np.concatenate([base[:, None, :], sh_rest], axis=1)),  # [N, K, 3]
        )
    )


def write(path: Path, content: SplatContent) -> None:
    """Writes the cloud whole or not at all; the same cloud always gives the same bytes.

    Raises UserError when the file cannot be written.
    """
    cloud = content.cloud
    n, k, _ = cloud.sh.shape
    rest = (f"f_rest_{i}" for i in range(3 * (k - 1)))
    names = (*POSITION, *NORMAL, *BASE_COLOR, *rest, "opacity", *SCALE, *ROTATION)
    table = np.concatenate(
        [
            cloud.means,
            np.zeros((n, 3), np.float32),
            cloud.sh[:, 0, :],
            cloud.sh[:, 1:, :].transpose(0, 2, 1).reshape(n, 3 * (k - 1)),
            cloud.opacity_logits[:, None],
            cloud.log_scales,
            cloud.quats,
        ],
        axis=1,
        dtype="<f4",
    )
    vertices = table.reshape(-1).view([(name, "<f4") for name in names])  # [N]
    data = plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")], byte_order="<")
    with atomic_file(path) as stream:
        data.write(stream)


def _read_vertices(path: Path) -> np.ndarray:
    """The element "vertex" as a structured array, mapped from the file where the file is binary."""
    try:
        data = plyfile.PlyData.read(str(path), mmap="r")
    except plyfile.PlyElementParseError as error:
        raise UserError(
            "bad_input",
            f"'{path}' is damaged: {error}.",
            "The file is shorter than it says, or was changed on the way; copy or export it again.",
        ) from error
    except (plyfile.PlyParseError, ValueError, OverflowError, MemoryError, TypeError) as error:
        reason = str(error) or "it claims to hold more than fits into memory"
        message = f"'{path}' is not a valid PLY file: {reason}."
        raise UserError("bad_input", message, "Copy or export it again.") from error
    except OSError as error:
        raise UserError("not_found", f"'{path}' could not be read: {error.strerror or error}.") from error
    if "vertex" not in data:
        raise UserError("bad_input", f"'{path}' is a PLY file without vertices.", "Choose a file that holds splats.")
    vertices = data["vertex"].data
    if "packed_position" in (vertices.dtype.names or ()):
        raise UserError(
            "unsupported",
            f"'{path}' is a compressed PLY file, which cannot be read yet.",
            "Convert it to a plain PLY with the editor that wrote it.",
        )
    return vertices


def _rest_names(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """The properties f_rest_0 ... in numeric order. Raises UserError when their number belongs to no SH degree."""
    count = sum(name.startswith("f_rest_") for name in names)
    rest = tuple(f"f_rest_{i}" for i in range(count))
    if count % 3 or count // 3 + 1 not in SH_COEFFICIENTS or not set(rest) <= set(names):
        raise UserError(
            "bad_input",
            f"'{path}' has {count} f_rest properties; splats have 0, 9, 24, 45 or 72 of them, numbered from 0.",
            "Export it again.",
        )
    return rest


def _table(vertices: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The named properties side by side, float32 [N, len(names)]."""
    dtype = vertices.dtype
    assert dtype.fields is not None
    if all(field[0] == np.dtype("<f4") for field in dtype.fields.values()) and dtype.itemsize == 4 * len(dtype.fields):
        # One gather over whole rows: taking the columns one by one walks through the file once per column.
        every = vertices.view(np.ndarray).view("<f4").reshape(len(vertices), len(dtype.fields))
        order = tuple(dtype.fields)
        return np.ascontiguousarray(every[:, [order.index(name) for name in names]], dtype=np.float32)
    table = np.empty((len(vertices), len(names)), np.float32)
    for column, name in enumerate(names):
        if vertices[name].dtype == object:
            raise UserError("bad_input", f"The PLY property '{name}' is a list; splats have one number there.")
        table[:, column] = vertices[name]
    return table


FORMAT = Format(
    name="ply",
    label="3D Gaussian Splatting PLY",
    suffixes=(".ply",),
    frame="opencv",
    sh_degree=4,
    recognises=lambda head, path: head.startswith(b"ply"),
    read=read,
    write=write,
)
