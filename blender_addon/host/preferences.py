# pyright: reportInvalidTypeForm=false, reportIncompatibleMethodOverride=false, reportAttributeAccessIssue=false
"""The extension's preferences: where the backend is, and the private environment it lives in."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import backend_settings
from ..core.backend_settings import BackendSettings

MOST_SPLATS = 130_000
ROOT = __name__.rsplit(".", 2)[0]  # "bl_ext.user_default.splatwright", or "blender_addon" from a checkout

_MODES = (
    ("local", "Here", "A backend of your own on this computer, in an environment that Splatwright makes"),
    ("running", "Already running", "A backend on this computer that somebody else started: splatwright serve"),
    ("remote", "Other machine", "A backend on another computer, reached by its address and a key file"),
)
_DEVICES = (
    ("auto", "Automatic", "The GPU where there is one that can be used, else the processor"),
    ("cuda", "GPU", "An NVIDIA GPU"),
    ("cpu", "Processor", "Slow, but works everywhere"),
)
_AT_END = (
    ("finish", "Finish it", "The backend goes on without Blender until the job is done, and ends then"),
    ("checkpoint", "Set it aside", "The job goes on from there when the backend is started again"),
)
_DRAWN_BY = (
    ("AUTOMATIC", "Automatic", "The backend where one is connected, else Blender from the copies beside the file"),
    ("BACKEND", "Backend", "Only the backend: all splats, also while they are trained, and bound ones in their pose"),
    ("BLENDER", "Blender", "Always Blender, from the copies beside the file: the largest splats, and poses at rest"),
)


def _changed(_self: Any, _context: Any) -> None:
    from . import backend_life

    backend_life.survey()


def _drawn_otherwise(_self: Any, _context: Any) -> None:
    from . import current, eyes, local_display

    local_display.mark_stale()
    eyes.mark_stale()
    current.redraw()


class SplatwrightPreferences(bpy.types.AddonPreferences):
    """What `BackendSettings` holds, with a widget for each."""

    bl_idname = ROOT

    mode: bpy.props.EnumProperty(name="Backend", items=_MODES, default="local", update=_changed)
    connection_file: bpy.props.StringProperty(
        name="Connection file",
        description="Of the running backend; empty = the usual place",
        subtype="FILE_PATH",
        update=_changed,
    )
    address: bpy.props.StringProperty(name="Address", description="HOST:PORT of the backend's machine")
    key_file: bpy.props.StringProperty(
        name="Key file", description="Made on that machine by: splatwright keys make NAME", subtype="FILE_PATH"
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="A Python 3.11 to 3.13 that makes the environment; empty = it is looked for",
        subtype="FILE_PATH",
    )
    device: bpy.props.EnumProperty(name="Device", items=_DEVICES, default="auto")
    workspace: bpy.props.StringProperty(
        name="Workspace",
        description="The folder for splats, captures and jobs; empty = the usual place",
        subtype="DIR_PATH",
    )
    wheel: bpy.props.StringProperty(
        name="Wheel",
        description="The backend's package: a file or a URL; empty = the one that came with the extension",
        subtype="FILE_PATH",
    )
    index: bpy.props.StringProperty(
        name="Index", description="URL of the package index; empty = the one that pip is configured for"
    )
    extra_index: bpy.props.StringProperty(
        name="Second index", description="URL of one more index, such as one that holds builds of torch; may be empty"
    )
    command: bpy.props.StringProperty(
        name="Command",
        description="The `splatwright` of a checkout; then no environment is made. Empty = not used",
        subtype="FILE_PATH",
        update=_changed,
    )
    at_end: bpy.props.EnumProperty(
        name="A job when Blender ends", items=_AT_END, default="finish", description="What becomes of a running job"
    )

    drawn_by: bpy.props.EnumProperty(
        name="Draw Splats",
        description="What draws splats in the viewport",
        items=_DRAWN_BY,
        default="AUTOMATIC",
        update=_drawn_otherwise,
    )
    most_splats: bpy.props.IntProperty(
        name="Most Splats",
        description="So many splats Blender itself draws in a viewport: those that are seen most of",
        default=MOST_SPLATS,
        min=1000,
        soft_max=1_000_000,
        max=2_000_000,
        update=_drawn_otherwise,
    )
    keep_copies: bpy.props.BoolProperty(
        name="Copies beside the .blend",
        description="On saving, keep a copy of the splats that a file shows beside it, so that it finds them elsewhere",
        default=True,
    )
    largest_copy: bpy.props.IntProperty(
        name="Up to", description="Larger splats are copied only when asked for", default=100, min=1, soft_max=2000
    )

    def draw(self, _context: Any) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        layout.row().prop(self, "mode", expand=True)
        if self.mode == "running":
            layout.prop(self, "connection_file")
        elif self.mode == "remote":
            layout.prop(self, "address")
            layout.prop(self, "key_file")
        else:
            for name in ("device", "workspace", "at_end"):
                layout.prop(self, name)
        draw_life(layout)
        if self.mode == "local":
            self._draw_environment(layout)
        layout.row().prop(self, "drawn_by", expand=True)
        part = layout.row()
        part.active = self.drawn_by != "BACKEND"
        part.prop(self, "most_splats")
        row = layout.row(heading="Copies beside the .blend")
        row.prop(self, "keep_copies", text="")
        part = row.row()
        part.active = self.keep_copies
        part.prop(self, "largest_copy", text="Up to (MB)")

    def _draw_environment(self, layout: Any) -> None:
        from . import backend_life, current

        box = layout.box()
        box.label(text="Private environment", icon="PACKAGE")
        for name in ("python", "wheel", "index", "extra_index", "command"):
            box.prop(self, name)
        box.label(text=str(backend_life.places().environment), icon="FILE_FOLDER")
        row = box.row()
        environment = current.session().life.environment
        if environment == "missing":
            row.operator("splatwright.backend_install")
        else:
            for operator in ("verify", "repair", "remove"):
                row.operator(f"splatwright.backend_{operator}")


def draw_life(layout: Any) -> None:
    """The backend's state in one sentence, how far it is, the button that fits, and what its log said last."""
    from . import backend_life, current

    life = current.session().life
    column = layout.column()
    column.alert = life.state in ("broken", "failed", "lost")
    column.label(text=life.sentence)
    if life.progress is not None:
        column.progress(factor=life.progress, text=f"{100 * life.progress:.0f} %")
    row = column.row()
    if life.button is not None:
        row.operator(life.button.operator, text=life.button.label)
    if life.state == "failed" and life.mode == "local":
        row.operator("splatwright.show_log")
        for line in backend_life.last_lines(5):
            column.label(text=line)


def settings() -> BackendSettings:
    """The preferences as plain data; the defaults where the extension was registered without being enabled."""
    found = chosen()
    if found is None:
        return BackendSettings()
    values = {name: getattr(found, name) for name in BackendSettings.__struct_fields__}
    for name in backend_settings.PATHS:
        values[name] = bpy.path.abspath(values[name]) if "://" not in values[name] else values[name]
    return BackendSettings(**values)


def largest_copy() -> int:
    """How many bytes the splats may take that are copied beside a .blend when it is saved; 0 = none are."""
    found = chosen()
    return 10**6 * found.largest_copy if found is not None and found.keep_copies else 0


def chosen() -> Any:
    """The preferences themselves, for panels; None where the extension was registered without being enabled."""
    addon = _addons().get(ROOT)
    return addon.preferences if addon is not None else None


def drawn_by() -> str:
    """What draws splats in viewports: "AUTOMATIC", "BACKEND" or "BLENDER"."""
    found = chosen()
    return found.drawn_by if found is not None else "AUTOMATIC"


def most_splats() -> int:
    """How many splats Blender itself draws in a viewport, at most."""
    found = chosen()
    return found.most_splats if found is not None else MOST_SPLATS


def _addons() -> Any:
    context: Any = bpy.context  # the stubs of 4.5 have `preferences` as a method
    return context.preferences.addons


def register() -> None:
    bpy.utils.register_class(SplatwrightPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(SplatwrightPreferences)
