"""The meshes that may hide splats in a viewport: where they stand, and their triangles, read again where they changed.

Whoever draws asks whenever the scene has changed, so looking must be quick: only where things stand is read each time.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import bpy
import gpu
import msgspec
import numpy as np
import numpy.typing as npt

from . import meshes, objects

# What Blender draws into its depth, but not as a mesh.
_OTHERS = frozenset({"CURVES", "POINTCLOUD", "GPENCIL", "GREASEPENCIL"})

_serials = itertools.count(1)


class Triangles(msgspec.Struct, eq=False):
    """Those of one mesh of a depsgraph, in its own frame; once drawn they are the graphics card's alone."""

    serial: int  # of what the mesh was like when somebody last said that it had changed
    read: int = 0  # the serial of what was read; 0 = nothing yet
    mesh: meshes.Mesh | None = None
    batch: gpu.types.GPUBatch | None = None  # None = not drawn yet, or without faces


class Hiders(msgspec.Struct, eq=False):
    """What may hide splats in one viewport."""

    parts: list[tuple[Triangles, Any]]  # each with Blender's own matrix, which carries it into the world
    has_others: bool  # things with a surface that are no meshes, such as hair
    signature: list[Any]
    _places: npt.NDArray[np.float64] | None = None

    @property
    def is_known(self) -> bool:
        """Whether all triangles have been read at some time."""
        return all(triangles.read for triangles, _ in self.parts)

    @property
    def is_up_to_date(self) -> bool:
        return all(triangles.read == triangles.serial for triangles, _ in self.parts)

    @property
    def places(self) -> npt.NDArray[np.float64]:
        """world_from_object of each part, [parts, 4, 4]."""
        if self._places is None:
            self._places = np.array([matrix for _, matrix in self.parts], np.float64).reshape(-1, 4, 4)
        return self._places


class _Known(msgspec.Struct):
    """What is known of one depsgraph."""

    changed: set[int] = msgspec.field(default_factory=set)  # session_uid of objects, since the last look
    triangles: dict[int, Triangles] = msgspec.field(default_factory=dict)  # by the address of their mesh


_known: dict[int, _Known] = {}  # by the address of a depsgraph, which is never followed


def changed(depsgraph: bpy.types.Depsgraph | None) -> None:
    """The handlers' depsgraph tells which geometry is another one now. None = all of it may be."""
    if depsgraph is None:
        _known.clear()
        return
    known = _known.get(depsgraph.as_pointer())
    if known is None:
        return
    for update in depsgraph.updates:
        if update.is_updated_geometry and isinstance(update.id, bpy.types.Object):
            known.changed.add(update.id.original.session_uid)


def look(depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D) -> Hiders:
    """What a viewport shows now. The triangles may not have been read yet."""
    known = _known.setdefault(depsgraph.as_pointer(), _Known())
    anew, known.changed = known.changed, set()
    met: dict[int, Triangles] = {}
    old: set[int] = set()
    hiders = Hiders([], False, [])
    for instance in depsgraph.object_instances:
        shown: Any = instance.object
        if shown is None:
            continue
        if shown.type not in meshes.SURFACES:
            hiders.has_others |= shown.type in _OTHERS
            continue
        maker: Any = instance.parent if instance.is_instance else None
        original = shown.original
        if objects.is_splats(original):
            continue
        address = shown.data.as_pointer()
        triangles = met.get(address)
        if triangles is None:
            triangles = known.triangles.get(address) or Triangles(next(_serials))
            met[address] = triangles
        is_anew = original.session_uid in anew or (maker is not None and maker.original.session_uid in anew)
        if is_anew and address not in old:  # once, however many objects share it
            old.add(address)
            triangles.serial = next(_serials)
        if not instance.show_self or not meshes.is_seen(shown, maker, space):
            continue
        hiders.has_others |= _has_hair(shown)
        matrix = instance.matrix_world.copy()
        hiders.parts.append((triangles, matrix))
        hiders.signature += (address, triangles.serial, matrix)
    known.triangles = met
    hiders.signature.append(hiders.has_others)
    return hiders


def read(
    hiders: Hiders, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D, seconds: float | None = None
) -> None:
    """Reads triangles that are not up to date, at least those of one mesh; what does not fit is left for another time.

    hiders: of this depsgraph and viewport, just looked at, or not changed since. seconds: None = as long as it takes.
    """
    known = _known.get(depsgraph.as_pointer())
    if known is None or hiders.is_up_to_date:
        return
    wanted = {id(triangles) for triangles, _ in hiders.parts if triangles.read != triangles.serial}
    deadline = time.perf_counter() + (float("inf") if seconds is None else seconds)
    for instance in depsgraph.object_instances:
        shown: Any = instance.object
        if shown is None or shown.type not in meshes.SURFACES:
            continue
        triangles = known.triangles.get(shown.data.as_pointer())
        if triangles is None or id(triangles) not in wanted:
            continue
        wanted.discard(id(triangles))
        triangles.mesh, triangles.batch, triangles.read = meshes.mesh_of_shown(shown), None, triangles.serial
        if not wanted or time.perf_counter() > deadline:
            return


def _has_hair(shown: Any) -> bool:
    systems = shown.particle_systems
    return bool(systems) and any(system.settings.type == "HAIR" for system in systems)


def keep(depsgraphs: set[int]) -> None:
    """Forgets what is known of others. depsgraphs: addresses."""
    for gone in _known.keys() - depsgraphs:
        del _known[gone]


def forget() -> None:
    _known.clear()
