# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats into the .blend and out of it again, so that one file is all there is to hand on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..core import wording
from ..host import copies, current, objects, packed
from ..protocol import errors
from . import asking

if TYPE_CHECKING:
    from ..protocol import remote


class SPLATWRIGHT_OT_pack_splats(bpy.types.Operator):
    bl_idname = "splatwright.pack_splats"
    bl_label = "Pack Splats"
    bl_description = "Keep the shown splats inside the .blend, so that it finds them on other machines by itself"
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: all of the file")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, self._pack)

    def _pack(self) -> None:
        shown = _by_version(_chosen(self.object))
        if not shown:
            message = "There are no splats to pack: they are packed already, or still being worked on."
            raise errors.UserError("bad_input", message)
        if not current.is_interactive():
            current.connect()
        names = {key: copies.name_of(*key) for key in shown}
        folder = tempfile.TemporaryDirectory(prefix="splatwright-")

        def fetch(backend: remote.Backend) -> None:
            for (asset, version), name in names.items():
                copies.fetch(backend, asset, version, Path(folder.name, name))

        def fetched(_: None) -> None:
            with folder:
                for key, items in shown.items():
                    present = [item for item in bpy.data.objects if item.name in items]
                    if present:
                        packed.pack(present, Path(folder.name, names[key]))
            objects.push_undo("Pack Splats")
            sizes = {packed.image_of(item): packed.size_of(item) for item in bpy.data.objects if packed.is_packed(item)}
            current.say(f"The file holds {wording.size(sum(sizes.values()))} of splats")
            current.redraw()

        asking.ask(fetch, fetched)


class SPLATWRIGHT_OT_unpack_splats(bpy.types.Operator):
    bl_idname = "splatwright.unpack_splats"
    bl_label = "Unpack Splats"
    bl_description = "Write the splats that the .blend holds into a folder beside it, and no longer keep them inside"
    bl_options = {"REGISTER", "UNDO"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: all of the file")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not bpy.data.filepath:
            cls.poll_message_set("Save the file first, so that there is a place beside it")
            return False
        if not any(map(packed.is_packed, bpy.data.objects)):
            cls.poll_message_set("No splats are packed into this file")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, self._unpack)

    def _unpack(self) -> None:
        written: list[Path] = []
        for item in _chosen(self.object):
            if packed.is_packed(item):  # not when another object's unpacking has taken it along
                written.append(packed.unpack(item))
        if not written:
            raise errors.UserError("bad_input", f"The splats of '{self.object}' are not packed.")
        size = wording.size(sum(path.stat().st_size for path in written))
        current.say(f"Wrote {len(written)} files, {size}")


def _chosen(name: str) -> list[bpy.types.Object]:
    """Raises UserError when there are none."""
    candidates = [bpy.data.objects.get(name)] if name else list(bpy.data.objects)
    found = [item for item in candidates if item is not None and objects.is_splats(item) and item.library is None]
    if not found:
        raise errors.UserError("bad_input", "There are no splat objects of this file.", "Add some first.")
    return found


def _by_version(items: list[bpy.types.Object]) -> dict[tuple[str, str], list[str]]:
    """The names of the objects whose version is to be packed, by asset and version."""
    shown: dict[tuple[str, str], list[str]] = {}
    for item in items:
        own: Any = item.splatwright
        if objects.shown_version(item) and not packed.is_current(item):
            shown.setdefault((own.asset, own.version), []).append(item.name)
    return shown


CLASSES = (SPLATWRIGHT_OT_pack_splats, SPLATWRIGHT_OT_unpack_splats)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
