# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splat files in and out, and which version of its asset an object shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..core import wording
from ..host import copies, current, objects, versions
from ..protocol import errors, things
from . import asking, uploads
from .operators_methods import active_splats

if TYPE_CHECKING:
    from ..protocol import remote


def glob_of(suffixes: Sequence[str]) -> str:
    """For a file browser: it shows only these."""
    return ";".join(f"*{suffix}" for suffix in suffixes)


class SPLATWRIGHT_OT_import_splats(bpy.types.Operator, ImportHelper):
    bl_idname = "splatwright.import_splats"
    bl_label = "Import Splats"
    bl_description = "Load Gaussian splats from files"
    bl_options = {"REGISTER"}

    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return asking.can_ask(cls)

    def invoke(self, context: Any, event: Any) -> set[Any]:
        if self.directory and self.files:  # dropped onto the viewport
            return self.execute(context)
        self.filter_glob = glob_of(current.session().reads)
        return super().invoke(context, event)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._import(self._paths()))

    def _paths(self) -> list[Path]:
        names = [file.name for file in self.files if file.name]
        if names:
            folder = Path(bpy.path.abspath(self.directory or str(Path(self.filepath).parent)))
            return [folder / name for name in names]
        return [Path(bpy.path.abspath(self.filepath))]

    def _import(self, paths: list[Path]) -> None:
        if not current.is_interactive():
            current.connect()  # then it is known what the backend reads
        reads = current.session().reads
        for path in paths:
            if path.suffix.lower() not in reads:
                message = f"'{path.name}' is not a splat file of a known kind."
                raise errors.UserError("unsupported", message, f"Readable are: {', '.join(reads)}.")

        def load(backend: remote.Backend) -> list[things.AssetInfo]:
            imported: list[things.AssetInfo] = []
            for path in paths:
                with uploads.sending(backend, path.name) as upload:
                    imported.append(backend.import_file(path, **upload))
            return imported

        asking.ask(load, _imported)


def _imported(assets: list[things.AssetInfo]) -> None:
    for asset in assets:
        asking.learn(asset=asset)
        objects.create(bpy.context, asset, follow_job=False)
    objects.push_undo("Import Splats" if len(assets) > 1 else f"Import {assets[0].name}")
    current.redraw()


class SPLATWRIGHT_OT_export_splats(bpy.types.Operator, ExportHelper):
    bl_idname = "splatwright.export_splats"
    bl_label = "Export Splats"
    bl_description = "Write the active splats to a file, in their own frame"
    bl_options = {"REGISTER"}

    filename_ext = ".ply"
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    object: bpy.props.StringProperty(
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not asking.can_ask(cls):
            return False
        if current.is_interactive() and active_splats(context) is None:
            cls.poll_message_set("Select a splat object first")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[Any]:
        splats = active_splats(context)
        if splats is not None and not self.filepath:
            self.filepath = bpy.path.clean_name(splats.name) + self.filename_ext
        self.filter_glob = glob_of(current.session().writes)
        return super().invoke(context, event)

    def check(self, context: Any) -> bool:
        """A name without a suffix gets the usual one while it is typed, so that Blender asks before it overwrites."""
        path = Path(self.filepath)
        if not path.name or path.suffix.lower() in current.session().writes:
            return False
        self.filepath += self.filename_ext
        return True

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._export(context))

    def _export(self, context: Any) -> None:
        splats = bpy.data.objects.get(self.object) if self.object else active_splats(context)
        if splats is None or not objects.is_splats(splats):
            raise errors.UserError("bad_input", "No splat object is chosen.", "Select one first.")
        path, writes = Path(bpy.path.abspath(self.filepath)), current.session().writes
        if path.suffix.lower() not in writes:
            message = f"'{path.name}' does not end in {' or '.join(writes)}."
            raise errors.UserError("unsupported", message, f"Give a name such as splats{writes[0]}.")
        asset, version = splats.splatwright.asset, objects.shown_version(splats)
        version = version or current.session().assets[asset].head
        asking.ask(
            lambda backend: backend.fetch_file(asset, version, path, copies.format_of(path)), lambda _: _exported(path)
        )


def _exported(path: Path) -> None:
    current.say(f"Wrote '{path}', {wording.size(path.stat().st_size)}")


class SPLATWRIGHT_OT_show_version(bpy.types.Operator):
    bl_idname = "splatwright.show_version"
    bl_label = "Show Version"
    bl_description = "Show this version of the splats; nothing is lost, every version stays"
    bl_options = {"REGISTER", "UNDO"}

    version: bpy.props.StringProperty(name="Version", description="The version's id")
    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first: undo does not reach splats in other modes")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        splats: Any = bpy.data.objects.get(self.object) if self.object else active_splats(context)
        if splats is None or not objects.is_splats(splats):
            self.report({"ERROR"}, "Select a splat object first.")
            return {"CANCELLED"}
        splats.splatwright.version = self.version
        current.redraw()
        return {"FINISHED"}


class SPLATWRIGHT_MT_versions(bpy.types.Menu):
    bl_idname = "SPLATWRIGHT_MT_versions"
    bl_label = "Versions"
    bl_description = "Which version of the splats is shown"

    def draw(self, context: Any) -> None:
        splats = active_splats(context)
        if splats is None:
            return
        shown = splats.splatwright.version
        for version in reversed(versions.of(splats.splatwright.asset)):
            text = f"{version.label or 'Unnamed'}, {wording.splats(version.splats)}"
            icon = "LAYER_ACTIVE" if version.version == shown else "LAYER_USED"
            self.layout.operator("splatwright.show_version", text=text, icon=icon).version = version.version


class SPLATWRIGHT_MT_assets(bpy.types.Menu):
    bl_idname = "SPLATWRIGHT_MT_assets"
    bl_label = "Add"
    bl_description = "Add an object that shows splats which the backend has"

    def draw(self, context: Any) -> None:
        for asset in sorted(current.session().assets.values(), key=lambda asset: -asset.created):
            text = f"{asset.name}, {wording.splats(asset.splats)}"
            self.layout.operator("splatwright.add_splats", text=text, icon="OUTLINER_OB_POINTCLOUD").asset = asset.asset


class SPLATWRIGHT_FH_splats(bpy.types.FileHandler):
    """Splat files can be dropped onto the viewport."""

    bl_idname = "SPLATWRIGHT_FH_splats"
    bl_label = "Gaussian Splats"
    bl_import_operator = "splatwright.import_splats"
    bl_export_operator = "splatwright.export_splats"
    bl_file_extensions = ".ply;.safetensors"  # said to Blender once: what the backend reads that we came with

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D" and context.mode == "OBJECT"


def _draw_import(self: Any, _context: Any) -> None:
    self.layout.operator("splatwright.import_splats", text=f"Gaussian Splats ({', '.join(current.session().reads)})")


def _draw_export(self: Any, _context: Any) -> None:
    self.layout.operator("splatwright.export_splats", text=f"Gaussian Splats ({', '.join(current.session().writes)})")


def _menus() -> tuple[tuple[Any, Callable[[Any, Any], None]], ...]:
    return (bpy.types.TOPBAR_MT_file_import, _draw_import), (bpy.types.TOPBAR_MT_file_export, _draw_export)


CLASSES = (
    SPLATWRIGHT_OT_import_splats,
    SPLATWRIGHT_OT_export_splats,
    SPLATWRIGHT_OT_show_version,
    SPLATWRIGHT_MT_versions,
    SPLATWRIGHT_MT_assets,
    SPLATWRIGHT_FH_splats,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for menu, draw in _menus():
        menu.append(draw)


def unregister() -> None:
    for menu, draw in _menus():
        menu.remove(draw)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
