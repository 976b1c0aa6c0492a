"""Recipes: edits one after another as a JSON file, which can be done again to other splats."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs
from backend.jobs.edit_jobs import INPUT_FILE, box_of, mesh_of_job
from backend.splats.io.atomic import write_bytes
from backend.splats.io.mesh_files import read_mesh
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.select_steps import SelectStep, array_of_plain, plain_array
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import RunMethod
from shared_protocol.things import IDENTITY, Matrix, Point

_FORMAT = 1


def is_recipe_name(path: Path) -> bool:
    """Whether a file of this name holds a recipe; `meta.json` is an unbundled SOG scene."""
    name = path.name.lower()
    return name.endswith(".json") and name != "meta.json" and not name.endswith(".meta.json")


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


class SplatMask(_Part, frozen=True):
    """A selection of which only its splats are known: it fits no others."""

    count: int  # of all splats
    bits: bytes  # zlib of a bit a splat

    @classmethod
    def of(cls, selected: np.ndarray) -> SplatMask:
        return cls(count=len(selected), bits=zlib.compress(np.packbits(selected).tobytes()))

    def selected(self, count: int) -> np.ndarray:
        """bool [N]. Raises UserError for another number of splats, and for bits that are none."""
        if count != self.count:
            message = f"A selection of the recipe is one of {self.count:,} splats, and here there are {count:,}."
            hint = "Do the recipe to the splats that it was made with, or select by shapes and colours."
            raise UserError("bad_input", message, hint)
        try:
            bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        except zlib.error as error:
            raise UserError("bad_input", "A selection of the recipe is damaged.") from error
        if len(bits) != -(-count // 8):
            raise UserError("bad_input", "A selection of the recipe is damaged.")
        return np.unpackbits(bits, count=count).astype(bool)


class JoinedFile(_Part, frozen=True):
    file: str  # of splats; not absolute: beside the recipe
    asset_from_other: Matrix = IDENTITY


class EditStep(_Part, frozen=True):
    """One edit, by the names of `shared_protocol.requests.RunMethod`.

    select: how what it is about was selected, step by step; none, and no mask = it is about all splats.
    """

    method: str
    select: tuple[SelectStep, ...] = ()
    mask: SplatMask | None = None
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
        write_bytes(path, msgspec.json.format(msgspec.json.encode(self, enc_hook=plain_array), indent=1) + b"\n")


def read_recipe(path: Path) -> Recipe:
    """Raises UserError for what is missing, damaged, or of a newer version."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError("not_found", f"'{path}' could not be read: {error.strerror or error}.") from error
    try:
        recipe = msgspec.json.decode(content, type=Recipe, dec_hook=array_of_plain)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise UserError("bad_input", f"'{path}' is no recipe: {error}.", "Write it anew from Blender.") from error
    if recipe.format > _FORMAT:
        raise UserError("unsupported", f"'{path}' was written by a newer version.", "Update Splatwright.")
    if not recipe.steps:
        raise UserError("bad_input", f"'{path}' holds no edits.")
    return recipe


def mesh_from(path: Path | None) -> MeshInRecipe | None:
    """Raises UserError as `read_mesh`."""
    return None if path is None else MeshInRecipe.of(read_mesh(path))


def recipe_of(workspace: Workspace, version: VersionCard) -> Recipe:
    """The edits that made a version of what it was before the first of them.

    Raises UserError when it was not edited, and when a version or a mesh in between is gone.
    """
    assets, selections = AssetStore(workspace), SelectionStore(workspace)
    steps: list[EditStep] = []
    while version.asked is not None:
        parent = assets.version(version.asset, version.parent)
        wish = msgspec.convert(version.asked, RunMethod)
        arrays = workspace.job_folder(version.job) / INPUT_FILE
        selected, how = None, selections.steps(parent, wish.selection) if wish.selection else ()
        if wish.hidden or (wish.selection and not how):
            selected, how = SplatMask.of(_region(assets, selections, parent, wish)), ()
        steps.append(
            EditStep(
                method=wish.method,
                select=how,
                mask=selected,
                settings=dict(wish.settings),
                box=wish.box,
                matrix=wish.matrix,
                points=wish.points,
                mesh=MeshInRecipe.of(mesh_of_job(arrays)) if arrays.is_file() else None,
                others=tuple(
                    JoinedFile(file=f"{assets.asset(o.asset).name}.ply", asset_from_other=o.asset_from_other)
                    for o in wish.others
                ),
            )
        )
        version = parent
    if not steps:
        raise UserError("bad_input", "This version was not edited, so there is no recipe.", "Choose an edited one.")
    return Recipe.of(tuple(reversed(steps)))


def _region(assets: AssetStore, selections: SelectionStore, version: VersionCard, wish: RunMethod) -> np.ndarray:
    """bool [N]: the splats that an edit was about."""
    inputs = EditingInputs(
        assets.read(version),
        box=None if wish.box is None else box_of(wish.box),
        selected=selections.read(version, wish.selection) if wish.selection else None,
        hidden=selections.read(version, wish.hidden) if wish.hidden else None,
    )
    region = inputs.region() if wish.method != "crop" else ~inputs.spared()
    return np.ones(version.splats, bool) if region is None else region
