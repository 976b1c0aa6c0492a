# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splat objects and their files: shown, found again when the backend does not have them, kept beside the .blend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy_extras.io_utils import ImportHelper

from ..core import wording
from ..host import copies, current, file_formats, objects
from ..protocol import errors, things
from . import asking, uploads
from .chosen_splats import active_splats, chosen_splats, in_object_mode

if TYPE_CHECKING:
    from ..protocol import remote


class SPLATWRIGHT_OT_add_splats(bpy.types.Operator):
    bl_idname = "splatwright.add_splats"
    bl_label = "Add Splats"
    bl_description = "Add an object that shows splats which the backend has"
    bl_options = {"REGISTER", "UNDO"}

    asset: bpy.props.StringProperty(name="Asset", description="The asset's id")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        return in_object_mode(cls, context, why="") and asking.can_ask(cls)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: self._add(context))

    def _add(self, context: Any) -> None:
        if not current.is_interactive():
            current.connect()
            current.wait_until(lambda: self.asset in current.session().assets, 10)
        info = current.session().assets.get(self.asset)
        if info is None:
            raise errors.UserError("not_found", f"There are no splats '{self.asset}'.", "Train or import some.")
        objects.create(context, info)
        current.redraw()


class SPLATWRIGHT_OT_locate_asset(bpy.types.Operator, ImportHelper):
    bl_idname = "splatwright.locate_asset"
    bl_label = "Locate Splats"
    bl_description = "Load the splats of this object from a file; without asking where a copy lies beside the .blend"
    bl_options = {"REGISTER"}

    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    object: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def invoke(self, context: Any, event: Any) -> Any:
        splats: Any = bpy.data.objects.get(self.object) if self.object else active_splats(context)
        path = None if splats is None else copies.found(splats)
        if path is None:
            self.filter_glob = file_formats.glob()
            return super().invoke(context, event)
        self.filepath = str(path)
        return self.execute(context)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: self._locate(context))

    def _locate(self, context: Any) -> None:
        splats = chosen_splats(self.object, context)
        path = Path(bpy.path.abspath(self.filepath)) if self.filepath else copies.found(splats)
        if path is None or not path.is_file():
            message = f"There is no file with the splats of '{splats.name}'."
            raise errors.UserError("not_found", message, "Choose one.")
        asset, version = splats.splatwright.asset, splats.splatwright.version
        name = splats.splatwright.name or splats.name
        frame = splats.splatwright.frame if path == copies.found(splats) else ""  # a copy has the asset's own numbers

        def load(backend: remote.Backend) -> things.AssetInfo:
            with uploads.sending(backend, path.name) as upload:
                return backend.import_file(path, name, frame=frame, **upload)

        def loaded(info: things.AssetInfo) -> None:
            asking.learn(asset=info)
            objects.replace(asset, version, info)
            current.redraw()

        asking.ask(load, loaded)


class SPLATWRIGHT_OT_keep_copy(bpy.types.Operator):
    bl_idname = "splatwright.keep_copy"
    bl_label = "Keep a Copy Beside the File"
    bl_description = "Write the shown splats into a folder beside the .blend, by which it finds them on other machines"
    bl_options = {"REGISTER", "UNDO"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: all of the file")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not bpy.data.filepath:
            cls.poll_message_set("Save the file first, so that there is a place beside it")
            return False
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, self._keep)

    def _keep(self) -> None:
        chosen = [bpy.data.objects.get(self.object)] if self.object else list(bpy.data.objects)
        items = [item for item in chosen if item is not None and objects.is_splats(item)]
        if not items:
            raise errors.UserError("bad_input", "There are no splat objects to copy.", "Add some first.")
        if not current.is_interactive():
            current.connect()
        missing = copies.wanted(items, bpy.data.filepath)
        asking.ask(lambda backend: copies.write(missing, backend), _kept)


def _kept(paths: list[Path]) -> None:
    size = wording.size(sum(path.stat().st_size for path in paths))
    current.say(f"Wrote {len(paths)} files, {size}" if paths else "All splats lie beside the file already")


CLASSES = (SPLATWRIGHT_OT_add_splats, SPLATWRIGHT_OT_locate_asset, SPLATWRIGHT_OT_keep_copy)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
