"""Writes a triangle mesh as GLB (glTF 2.0), with exact colours or with a texture inside."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from backend.splats.mesh_texture import MeshTexture
from backend.splats.triangle_mesh import TriangleMesh

_CORNERS, _VALUES = 34963, 34962  # what a view is for
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_LINEAR, _MIPMAPS, _CLAMP = 9729, 9987, 33071  # how a texture is read


class _Document:
    """The binary part, as it grows, and what the JSON part says of it."""

    def __init__(self) -> None:
        self.binary = b""
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, **about: int) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(content), **about})
        self.binary += content + b"\0" * (-len(content) % 4)
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, component: int, type: str, *, target: int = _VALUES, **about: Any) -> int:
        view = self.view(array.tobytes(), target=target)
        shape = {"bufferView": view, "componentType": component, "count": len(array), "type": type}
        self.accessors.append(shape | about)
        return len(self.accessors) - 1


def glb(mesh: TriangleMesh, texture: MeshTexture | None = None) -> bytes:
    """With a texture, vertices at seams are there once for each place on it, and there are no colours at vertices."""
    uvs = None
    if texture is not None:
        mesh, uvs = texture.seams_apart(mesh)
    document = _Document()
    indices = document.accessor(mesh.faces.astype("<u4").ravel(), _UINT32, "SCALAR", target=_CORNERS)
    box = {"min": mesh.vertices.min(axis=0).tolist(), "max": mesh.vertices.max(axis=0).tolist()}
    attributes = {"POSITION": document.accessor(mesh.vertices.astype("<f4"), _FLOAT, "VEC3", **box)}
    material: dict[str, Any] = {"metallicFactor": 0.0}
    more: dict[str, Any] = {}
    if texture is not None and uvs is not None:
        downward = np.stack([uvs[:, 0], 1 - uvs[:, 1]], -1).astype("<f4")
        attributes["TEXCOORD_0"] = document.accessor(downward, _FLOAT, "VEC2")
        picture = document.view(texture.png())
        more["images"] = [{"bufferView": picture, "mimeType": "image/png"}]
        more["samplers"] = [{"magFilter": _LINEAR, "minFilter": _MIPMAPS, "wrapS": _CLAMP, "wrapT": _CLAMP}]
        more["textures"] = [{"source": 0, "sampler": 0}]
        material |= {"baseColorTexture": {"index": 0}, "roughnessFactor": 1.0}
    elif mesh.colors is not None:
        # glTF wants linear colours, for which 8 bits are too few: dark colours would become bands.
        opaque = np.full((len(mesh.colors), 1), 65535, "<u2")
        colors = np.hstack([np.rint(_linear(mesh.colors) * 65535).astype("<u2"), opaque])
        attributes["COLOR_0"] = document.accessor(colors, _UINT16, "VEC4", normalized=True)
    description = {
        "asset": {"version": "2.0", "generator": "Splatwright"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        "materials": [{"name": "splats", "doubleSided": True, "pbrMetallicRoughness": material}],
        "buffers": [{"byteLength": len(document.binary)}],
        "bufferViews": document.views,
        "accessors": document.accessors,
    }
    text = json.dumps(description | more, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary = document.binary
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body


def _linear(colors: np.ndarray) -> np.ndarray:
    """sRGB uint8 -> linear light 0..1 (IEC 61966-2-1)."""
    values = colors.astype(np.float64) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
