"""Reads and writes triangle meshes; trimesh knows the formats, except for exact colours in GLB, and textures."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from backend.splats.io.atomic import write_bytes
from backend.splats.io.mesh_glb import glb
from backend.splats.io.mesh_obj import write_textured_obj
from backend.splats.mesh_texture import MeshTexture
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

READABLE = (".glb", ".obj", ".ply", ".stl", ".off")
WRITABLE = (".glb", ".obj", ".ply")
# What trimesh raises for damaged files; its formats are read by many hands.
# A text file that is no UTF-8 makes it ask for a package that guesses encodings, which we do not have.
_DAMAGED = (
    ImportError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    EOFError,
)


def read_mesh(path: Path) -> TriangleMesh:
    """Vertices, in the file's order, and faces; polygons become triangles. Raises UserError for what is no mesh."""
    import trimesh

    path = Path(path)
    if path.suffix.lower() not in READABLE:
        hint = f"Meshes are read from {', '.join(READABLE)}."
        raise UserError("unsupported", f"'{path}' does not look like a mesh file.", hint)
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    try:
        # Without processing, because a posed mesh must have the vertices of the mesh at rest, in their order.
        loaded = trimesh.load_mesh(str(path), process=False, maintain_order=True)
        vertices, faces = np.asarray(loaded.vertices), np.asarray(loaded.faces)
        mesh = TriangleMesh(vertices.astype(np.float32), faces.astype(np.int32).reshape(-1, 3))
    except OSError as error:
        raise UserError("bad_input", f"'{path}' could not be read: {error.strerror or error}.") from error
    except (*_DAMAGED, struct.error) as error:
        raise UserError("bad_input", f"'{path}' is damaged, or holds no mesh.", "Export it once more.") from error
    if not len(mesh.faces):
        raise UserError("bad_input", f"The mesh in '{path}' has no faces.", "Export a mesh with faces.")
    return mesh


def refuse_unwritable_mesh_name(path: Path) -> None:
    """Raises UserError when the file's name ends with no format that can be written."""
    if Path(path).suffix.lower() not in WRITABLE:
        message = f"'{path}' does not end in {', '.join(WRITABLE[:-1])} or {WRITABLE[-1]}."
        raise UserError("unsupported", message, "Give a name such as mesh.glb.")


def write_mesh(path: Path, mesh: TriangleMesh, texture: MeshTexture | None = None) -> None:
    """Writes the mesh, whole or not at all, in the format that the file's name ends with; axes stay as they are.

    A texture is part of a .glb file; beside an .obj file it stands as .png, with an .mtl file that names it; .ply files
    hold none.
    """
    refuse_unwritable_mesh_name(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".glb":
        write_bytes(path, glb(mesh, texture))
    elif suffix == ".obj" and texture is not None:
        write_textured_obj(Path(path), mesh, texture)
    else:
        write_bytes(path, _by_trimesh(mesh, suffix))


def _by_trimesh(mesh: TriangleMesh, suffix: str) -> bytes:
    import trimesh

    made = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    content = made.export(file_type=suffix.removeprefix("."))
    return content.encode() if isinstance(content, str) else bytes(content)
