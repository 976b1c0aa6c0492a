# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats out of Blender into files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ExportHelper

from ..core import file_kinds, wording
from ..host import current, file_formats
from . import asking
from .chosen_splats import active_splats, can_choose, chosen_splats
from .outgoing import MOST_HARMONICS, make_ready, outgoing
from .paragraphs import paragraph

_items: list[tuple[str, str, str]] = []  # Blender does not keep the texts of a dynamic enum


def _formats(_self: Any, _context: Any) -> list[tuple[str, str, str]]:
    _items[:] = [("NAME", "By the File's Name", "The end of the name chooses the format")]
    known = {suffix: form.label for form in file_formats.formats() for suffix in form.suffixes}
    for suffix in file_formats.writes():
        _items.append((suffix, known.get(suffix, "Splatwright"), f"The file's name will end in {suffix}"))
    return _items


class SPLATWRIGHT_OT_export_splats(bpy.types.Operator, ExportHelper):
    bl_idname = "splatwright.export_splats"
    bl_label = "Export Splats"
    bl_description = "Write the active splats to a file that other programs read"
    bl_options = {"REGISTER"}

    filename_ext = ".ply"
    filepath: bpy.props.StringProperty(
        name="File Path",
        description="The file that is written",
        maxlen=1024,
        subtype="FILE_PATH",
        options={"SKIP_PRESET", "PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    object: bpy.props.StringProperty(
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )
    format: bpy.props.EnumProperty(name="Format", description="What kind of file is written", items=_formats)
    as_placed: bpy.props.BoolProperty(
        name="As It Stands in Blender",
        description="Write the splats moved, turned, scaled and posed as the object is; else as they are stored",
        default=True,
    )
    frame: bpy.props.EnumProperty(
        name="Axes",
        description="Which way the axes of the file's numbers point",
        items=[
            ("FORMAT", "As the Format Prescribes", "What programs expect that read such files"),
            *file_formats.COMMON_FRAMES,
        ],
        default="FORMAT",
    )
    axes: bpy.props.StringProperty(name="Letters", description=file_formats.AXES, default="RUB", maxlen=3)
    harmonics: bpy.props.IntProperty(
        name="Most Harmonics",
        description="The highest degree of view-dependent colour that is written; less makes the file smaller",
        default=MOST_HARMONICS,
        min=0,
        max=MOST_HARMONICS,
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and can_choose(cls, context)

    def invoke(self, context: Any, event: Any) -> set[Any]:
        splats = active_splats(context)
        if splats is not None and not self.filepath:
            self.filepath = bpy.path.clean_name(splats.name) + self.filename_ext
        self.filter_glob = ";".join(f"*{suffix}" for suffix in file_formats.writes())
        return super().invoke(context, event)

    def check(self, context: Any) -> bool:
        """The name gets the chosen suffix, or the usual one, while it is typed: Blender asks before it overwrites."""
        path, writes = Path(self.filepath), file_formats.writes()
        suffix = file_kinds.suffix_of(path, writes)
        wanted = self.format if self.format != "NAME" else suffix or self.filename_ext
        if not path.name or suffix == wanted:
            return False
        self.filepath = self.filepath.removesuffix(suffix) + wanted
        return True

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("format", "as_placed", "frame"):
            layout.prop(self, name)
        if self.frame == "OTHER":
            layout.prop(self, "axes")
        layout.prop(self, "harmonics")
        form = file_formats.format_named(Path(self.filepath))
        if form is None:
            return
        if self.frame == "FORMAT":
            paragraph(layout, context, f"{form.label}: {file_formats.frame_label(form.frame)}.", "INFO")
        if form.sh_degree < self.harmonics:
            paragraph(layout, context, f"{form.label} holds harmonics up to degree {form.sh_degree}.", "INFO")

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._export(context))

    def _export(self, context: Any) -> None:
        splats = chosen_splats(self.object, context)
        path = Path(bpy.path.abspath(self.filepath))
        make_ready(splats, path)
        leaving = outgoing(
            splats,
            path,
            context.evaluated_depsgraph_get(),  # a script may have moved it just now
            as_placed=self.as_placed,
            frame={"FORMAT": "", "OTHER": self.axes}.get(self.frame, self.frame),
            harmonics=self.harmonics,
        )
        asking.ask(leaving.write, lambda _: current.say(f"Wrote '{path}', {wording.size(file_kinds.size_of(path))}"))


def _menu() -> Any:  # the stubs of 4.5 think that a menu draws without itself
    return bpy.types.TOPBAR_MT_file_export


def _draw_menu(self: Any, _context: Any) -> None:
    suffixes = ", ".join(file_formats.writes())
    self.layout.operator("splatwright.export_splats", text=f"Gaussian Splats ({suffixes})")


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_export_splats)
    _menu().append(_draw_menu)


def unregister() -> None:
    _menu().remove(_draw_menu)
    bpy.utils.unregister_class(SPLATWRIGHT_OT_export_splats)
