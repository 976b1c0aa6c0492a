"""Writes a triangle mesh with a texture as OBJ, with its material and its picture beside it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from backend.splats.io.atomic import write_bytes
from backend.splats.mesh_texture import MeshTexture
from backend.splats.triangle_mesh import TriangleMesh


def write_textured_obj(path: Path, mesh: TriangleMesh, texture: MeshTexture) -> None:
    """`<name>.png` and `<name>.mtl` come first: an .obj file never names what is not there. Axes stay as they are."""
    picture, material = path.with_suffix(".png"), path.with_suffix(".mtl")
    coordinates, of_corner = np.unique(texture.uvs.reshape(-1, 2), axis=0, return_inverse=True)
    rows = np.stack([mesh.faces.ravel(), of_corner.ravel()], -1).reshape(-1, 6) + 1
    text = BytesIO()
    text.write(f"# Splatwright\nmtllib {material.name}\nusemtl splats\n".encode())
    np.savetxt(text, mesh.vertices, fmt="v %.9g %.9g %.9g")
    np.savetxt(text, coordinates, fmt="vt %.7g %.7g")
    np.savetxt(text, rows, fmt="f %d/%d %d/%d %d/%d")
    write_bytes(picture, texture.png())
    write_bytes(material, f"newmtl splats\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture.name}\n".encode())
    write_bytes(path, text.getvalue())
