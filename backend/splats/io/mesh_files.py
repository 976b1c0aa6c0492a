"""Reads and writes triangle meshes; trimesh knows the formats, except for exact colours in GLB."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from backend.splats.io.atomic import write_bytes
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


def write_mesh(path: Path, mesh: TriangleMesh) -> None:
    """Writes the mesh, whole or not at all, in the format that the file's name ends with; axes stay as they are."""
    refuse_unwritable_mesh_name(path)
    suffix = Path(path).suffix.lower()
    write_bytes(path, _glb(mesh) if suffix == ".glb" else _by_trimesh(mesh, suffix))


def _by_trimesh(mesh: TriangleMesh, suffix: str) -> bytes:
    import trimesh

    made = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    content = made.export(file_type=suffix.removeprefix("."))
    return content.encode() if isinstance(content, str) else bytes(content)


def _glb(mesh: TriangleMesh) -> bytes:
    """glTF wants linear colours, for which trimesh's 8 bits are too few: dark colours would become bands."""
    parts: list[tuple[np.ndarray, dict[str, object]]] = [
        (mesh.faces.astype("<u4").ravel(), {"componentType": 5125, "type": "SCALAR"}),
        (
            mesh.vertices.astype("<f4"),
            {
                "componentType": 5126,
                "type": "VEC3",
                "min": mesh.vertices.min(axis=0).tolist(),
                "max": mesh.vertices.max(axis=0).tolist(),
            },
        ),
    ]
    attributes = {"POSITION": 1}
    if mesh.colors is not None:
        opaque = np.full((len(mesh.colors), 1), 65535, "<u2")
        colors = np.hstack([np.rint(_linear(mesh.colors) * 65535).astype("<u2"), opaque])
        parts.append((colors, {"componentType": 5123, "type": "VEC4", "normalized": True}))
        attributes["COLOR_0"] = 2
    binary, views, accessors = b"", [], []
    for number, (array, about) in enumerate(parts):
        content = array.tobytes()
        target = 34963 if number == 0 else 34962
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content), "target": target})
        accessors.append({"bufferView": number, "count": len(array), **about})
        binary += content + b"\0" * (-len(content) % 4)
    material = {"name": "splats", "doubleSided": True, "pbrMetallicRoughness": {"metallicFactor": 0.0}}
    description = {
        "asset": {"version": "2.0", "generator": "Splatwright"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 0, "material": 0}]}],
        "materials": [material],
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(description, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body


def _linear(colors: np.ndarray) -> np.ndarray:
    """sRGB uint8 -> linear light 0..1 (IEC 61966-2-1)."""
    values = colors.astype(np.float64) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
