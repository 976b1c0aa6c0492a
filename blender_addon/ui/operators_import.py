# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splat files into Blender: by menu, by drop, by script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy_extras.io_utils import ImportHelper

from ..core import file_kinds
from ..host import current, file_formats, objects, samples
from ..protocol import errors, messages, things
from . import asking, uploads
from .chosen_splats import in_object_mode
from .operators_bound_mesh import add_mesh, bound_mesh_of
from .paragraphs import paragraph

if TYPE_CHECKING:
    from ..protocol import remote

_Imported = tuple[things.AssetInfo, messages.MeshData | None]  # with the mesh that it is bound to
_SAMPLE_S = 30.0  # without a window the sample of a new object is waited for so long


class SPLATWRIGHT_OT_import_splats(bpy.types.Operator, ImportHelper):
    bl_idname = "splatwright.import_splats"
    bl_label = "Import Splats"
    bl_description = "Load Gaussian splats from files; a PLY that holds a mesh is left to Blender's own importer"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(
        name="File Path",
        description="The file that is read",
        maxlen=1024,
        subtype="FILE_PATH",
        options={"SKIP_PRESET", "PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: bpy.props.StringProperty(
        subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE", "PATH_SUPPORTS_BLEND_RELATIVE"}
    )
    frame: bpy.props.EnumProperty(
        name="Axes",
        description="Which way the axes of the file's numbers point",
        items=[
            ("FILE", "As the File Says", "As the file says, or as files of its kind usually are"),
            *file_formats.COMMON_FRAMES,
        ],
        default="FILE",
    )
    axes: bpy.props.StringProperty(name="Letters", description=file_formats.AXES, default="RUB", maxlen=3)
    points: bpy.props.EnumProperty(
        name="Plain Points",
        description="What becomes of a PLY that holds points, but neither splats nor faces",
        items=[
            ("SPLATS", "Splats", "Each point becomes a small splat in its colour"),
            ("MESH", "Mesh", "Blender's own importer makes a mesh of them"),
        ],
        default="SPLATS",
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return in_object_mode(cls, context, why="") and asking.can_ask(cls)

    def invoke(self, context: Any, event: Any) -> set[Any]:
        if self.directory and self.files:  # dropped onto the viewport
            if current.is_interactive() and not all(map(self._is_blenders, self._paths())):
                return self.invoke_popup(context) or {"CANCELLED"}
            return self.execute(context)
        self.filter_glob = file_formats.glob()
        return super().invoke(context, event)

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "frame")
        if self.frame == "OTHER":
            layout.prop(self, "axes")
        layout.prop(self, "points")
        for text in self._about(context):
            paragraph(layout, context, text, "INFO")

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._import(self._paths()))

    def _paths(self) -> list[Path]:
        names = [file.name for file in self.files if file.name]
        if names:
            folder = Path(bpy.path.abspath(self.directory or str(Path(self.filepath).parent)))
            return [folder / name for name in names]
        return [Path(bpy.path.abspath(self.filepath))]

    def _about(self, context: Any) -> list[str]:
        """What is assumed of the chosen files, a sentence a format."""
        chosen = getattr(getattr(context.space_data, "params", None), "filename", "")  # while the browser is open
        paths = [Path(chosen)] if chosen else self._paths()
        found = {form.name: form for path in paths if (form := file_formats.format_named(path)) is not None}
        return [
            f"{form.label}: {file_formats.frame_label(form.frame)}, unless the file says otherwise."
            for form in found.values()
            if self.frame == "FILE"
        ]

    def _is_blenders(self, path: Path) -> bool:
        kind = file_kinds.ply_kind(path) if path.suffix.lower() == ".ply" else "splats"
        return kind == "mesh" or (kind == "points" and self.points == "MESH")

    def _import(self, paths: list[Path]) -> None:
        meshes = [path for path in paths if self._is_blenders(path)]
        for path in meshes:
            bpy.ops.wm.ply_import(filepath=str(path))
            self.report({"INFO"}, f"'{path.name}' holds no splats: Blender's own importer has read it")
        paths = [path for path in paths if path not in meshes]
        if not paths:
            return
        if not current.is_interactive():
            current.connect()  # then it is known what the backend reads
            current.wait_until(lambda: bool(current.session().formats), 10)
        _refuse_unknown(paths)
        frame = {"FILE": "", "OTHER": self.axes}.get(self.frame, self.frame)

        def load(backend: remote.Backend) -> list[_Imported]:
            imported: list[_Imported] = []
            for path in paths:
                if not backend.is_local:
                    file_kinds.refuse_far_parts(path, file_kinds.suffix_of(path, file_formats.reads()))
                with uploads.sending(backend, path.name) as upload:
                    info = backend.import_file(path, frame=frame, **upload)
                imported.append((info, bound_mesh_of(backend, info.asset)))
            return imported

        asking.ask(load, _imported)


def _refuse_unknown(paths: list[Path]) -> None:
    for path in paths:
        if not file_kinds.suffix_of(path, file_formats.reads()):
            message = f"'{path.name}' is not a splat file of a known kind."
            raise errors.UserError("unsupported", message, f"Readable are: {', '.join(file_formats.reads())}.")


def _imported(imported: list[_Imported]) -> None:
    assets = [asset for asset, _ in imported]
    for asset, mesh in imported:
        asking.learn(asset=asset)
        splats = objects.create(bpy.context, asset, follow_job=False)
        if mesh is not None:
            add_mesh(bpy.context, splats, mesh)
            objects.select(bpy.context, splats)
        if not current.is_interactive():
            current.wait_until(lambda asset=asset: samples.of(asset.asset) is not None, _SAMPLE_S)
        for note in asset.notes:
            current.say(f"{asset.name}: {note}")
    objects.push_undo("Import Splats" if len(assets) > 1 else f"Import {assets[0].name}")
    current.redraw()


class SPLATWRIGHT_FH_splats(bpy.types.FileHandler):
    """Splat files can be dropped onto the viewport."""

    bl_idname = "SPLATWRIGHT_FH_splats"
    bl_label = "Gaussian Splats"
    bl_import_operator = "splatwright.import_splats"
    bl_export_operator = "splatwright.export_splats"
    # Said to Blender once, so what the backend reads that we came with; Blender looks at the last suffix of a name.
    bl_file_extensions = ";".join(dict.fromkeys(Path(f"a{suffix}").suffix for suffix in file_formats.shipped().reads))

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D" and context.mode == "OBJECT"


def _menu() -> Any:  # the stubs of 4.5 think that a menu draws without itself
    return bpy.types.TOPBAR_MT_file_import


def _draw_menu(self: Any, _context: Any) -> None:
    suffixes = ", ".join(file_formats.reads())
    self.layout.operator("splatwright.import_splats", text=f"Gaussian Splats ({suffixes})")


CLASSES = (SPLATWRIGHT_OT_import_splats, SPLATWRIGHT_FH_splats)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    _menu().append(_draw_menu)


def unregister() -> None:
    _menu().remove(_draw_menu)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
