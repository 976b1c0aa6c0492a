"""Recipes: edits one after another as a JSON file, which can be done again to other splats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.splats.io.atomic import write_bytes
from backend.splats.io.mesh_files import read_mesh
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from shared_protocol.things import IDENTITY, Matrix, Point

_FORMAT = 1


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Part of the file; what is not known is refused, because it would be left out silently."""


class MeshInRecipe(_Part, frozen=True):
    vertices: list[Point]
    faces: list[tuple[int, int, int]]

    @classmethod
    def of(cls, mesh: TriangleMesh) -> MeshInRecipe:
        return cls(vertices=mesh.vertices.tolist(), faces=mesh.faces.tolist())

    def mesh(self) -> TriangleMesh:
        """Raises ValueError for what is no mesh."""
        return TriangleMesh(
            np.array(self.vertices, np.float32).reshape(-1, 3), np.array(self.faces, np.int32).reshape(-1, 3)
        )


class JoinedFile(_Part, frozen=True):
    file: str  # of splats; not absolute: beside the recipe
    asset_from_other: Matrix = IDENTITY


class EditStep(_Part, frozen=True):
    """One edit, by the names of `shared_protocol.requests.RunMethod`."""

    method: str
    settings: dict[str, Any] = {}
    box: Matrix | None = None
    matrix: Matrix | None = None
    points: tuple[Point, ...] = ()
    mesh: MeshInRecipe | None = None
    others: tuple[JoinedFile, ...] = ()


class Recipe(_Part, frozen=True):
    format: int
    steps: tuple[EditStep, ...]

    @classmethod
    def of(cls, steps: tuple[EditStep, ...]) -> Recipe:
        return cls(format=_FORMAT, steps=steps)

    def write(self, path: Path) -> None:
        """Raises UserError when the disk is full."""
        write_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def read_recipe(path: Path) -> Recipe:
    """Raises UserError for what is missing, damaged, or of a newer version."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError("not_found", f"'{path}' could not be read: {error.strerror or error}.") from error
    try:
        recipe = msgspec.json.decode(content, type=Recipe)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError("bad_input", f"'{path}' is no recipe: {error}.", "Write it anew from Blender.") from error
    if recipe.format > _FORMAT:
        raise UserError("unsupported", f"'{path}' was written by a newer version.", "Update Splatwright.")
    if not recipe.steps:
        raise UserError("bad_input", f"'{path}' holds no edits.")
    return recipe


def mesh_from(path: Path | None) -> MeshInRecipe | None:
    """Raises UserError as `read_mesh`."""
    return None if path is None else MeshInRecipe.of(read_mesh(path))
