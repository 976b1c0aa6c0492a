"""Bound splats as a folder that other programs can look into: the splats, the mesh, and what holds the two together.

fox.bound/splats.ply            the splats at rest
fox.bound/mesh.ply              the mesh at rest, in the splats' frame
fox.bound/binding.safetensors   by splat: face, barycentrics, height; docs/formats.md says what each is
fox.bound/bound.json            version of this layout, frame, and how many of each there are
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from backend.jobs.bindings import checked_binding
from backend.rigging.binding import Binding
from backend.splats.io import BOUND_FOLDER, SplatContent, read_splats, write_splats
from backend.splats.io.atomic import explain_unwritten, write_bytes
from backend.splats.io.content import damaged
from backend.splats.io.frames import frame_called
from backend.splats.io.mesh_files import read_mesh, write_mesh
from backend.store.payload import read_arrays, write_arrays
from shared_protocol.errors import UserError

_LAYOUT = 1
_CARD, _SPLATS, _MESH, _BINDING = "bound.json", "splats.ply", "mesh.ply", "binding.safetensors"
_OF_MESH = ("mesh_vertices", "mesh_faces")  # which the mesh's own file holds


class _Card(msgspec.Struct, frozen=True, kw_only=True):
    layout: int
    frame: str
    antialiased: bool
    splats: int
    vertices: int
    faces: int


def is_bound_folder(path: Path) -> bool:
    """Whether the path is that of such a folder, or of the file in it that a file browser can choose."""
    return BOUND_FOLDER in (path.suffix.lower(), path.parent.suffix.lower() if path.name == _CARD else "")


def read_bound_folder(path: Path) -> tuple[SplatContent, Binding]:
    """A moved mesh is taken as the new rest; one of another topology is refused.

    Raises UserError when a part is missing, damaged or does not fit the others.
    """
    folder = path.parent if path.name == _CARD else path
    if not (folder / _CARD).is_file():
        raise UserError("not_found", f"'{folder}' holds no bound splats: '{_CARD}' is missing.", "Check the path.")
    try:
        card = msgspec.json.decode((folder / _CARD).read_bytes(), type=_Card)
    except msgspec.DecodeError as error:
        raise damaged(folder / _CARD, "it does not describe bound splats") from error
    if card.layout != _LAYOUT:
        message = f"'{folder}' was written by a newer Splatwright (layout {card.layout})."
        raise UserError("unsupported", message, "Update Splatwright.")
    content = read_splats(folder / _SPLATS, frame_called(card.frame))
    mesh = read_mesh(folder / _MESH)
    for found, count, name in (
        (len(content), card.splats, _SPLATS),
        (len(mesh.vertices), card.vertices, _MESH),
        (len(mesh.faces), card.faces, _MESH),
    ):
        if found != count:
            message = f"'{folder / name}' has {found:,} where the binding was made for {count:,}."
            raise UserError("bad_input", message, "Put back the file that was written with it, or bind again.")
    arrays = read_arrays(folder / _BINDING) | {"mesh_vertices": mesh.vertices, "mesh_faces": mesh.faces}
    binding = checked_binding(arrays, str(folder / _BINDING))
    if len(binding) != len(content):
        raise damaged(folder / _BINDING, f"it binds {len(binding):,} splats of {len(content):,}")
    content = replace(content, antialiased=card.antialiased)
    return content, binding.resting(mesh.vertices, content.cloud.means)


def write_bound_folder(folder: Path, content: SplatContent, binding: Binding | None) -> None:
    """Writes the folder whole, in the place of an older one, or not at all. Raises UserError."""
    if binding is None:
        message = f"'{folder}' cannot be written: these splats are not bound to a mesh."
        raise UserError("bad_input", message, "Bind them first, or write a file such as splats.ply.")
    if folder.exists() and not (folder / _CARD).is_file():
        raise UserError("bad_input", f"'{folder}' is there and holds no bound splats.", "Choose another name.")
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    made, old = beside.with_name(beside.name + ".part"), beside.with_name(beside.name + ".old")
    try:
        made.mkdir(parents=True)
        write_splats(made / _SPLATS, content, frame=content.frame)
        write_mesh(made / _MESH, binding.mesh)
        write_arrays(made / _BINDING, {k: v for k, v in binding.to_arrays().items() if k not in _OF_MESH})
        card = _Card(
            layout=_LAYOUT,
            frame=content.frame,
            antialiased=bool(content.antialiased),
            splats=len(content),
            vertices=len(binding.mesh.vertices),
            faces=len(binding.mesh.faces),
        )
        write_bytes(made / _CARD, msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
        if folder.exists():
            os.replace(folder, old)
        os.replace(made, folder)
    except OSError as error:
        raise explain_unwritten(error, folder) from error
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
