# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats out of Blender as an animation: one file a frame, each as the object moves and its mesh is posed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ExportHelper

from ..core import file_kinds, frame_paths
from ..host import current, file_formats, properties
from ..protocol import errors
from . import asking
from .chosen_splats import active_splats, can_choose, chosen_splats
from .outgoing import MOST_HARMONICS, make_ready, outgoing

_TICK_S = 0.1


class SPLATWRIGHT_OT_export_animation(bpy.types.Operator, ExportHelper):
    bl_idname = "splatwright.export_animation"
    bl_label = "Export Animated Splats"
    bl_description = (
        "Write a file for each frame, with the splats where the object stands and as its mesh is posed. Esc stops"
    )
    bl_options = {"REGISTER"}

    filename_ext = ".ply"
    filepath: bpy.props.StringProperty(
        name="File Path",
        description="The files that are written; #### becomes the frame's number",
        maxlen=1024,
        subtype="FILE_PATH",
        options={"SKIP_PRESET", "PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    check_existing: bpy.props.BoolProperty(default=False, options={"HIDDEN"})  # the name with hashes is no file
    object: bpy.props.StringProperty(
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )
    first: bpy.props.IntProperty(name="First Frame", description="Where the animation begins", default=1)
    last: bpy.props.IntProperty(name="Last Frame", description="Where it ends", default=250)
    step: bpy.props.IntProperty(
        name="Step", description="Write each frame, every second one, and so on", default=1, min=1
    )
    split: bpy.props.BoolProperty(
        name="Split Stretched Splats",
        description=(
            "Split splats that a pose makes more than twice as long. The files then hold different numbers of splats"
        ),
    )
    harmonics: bpy.props.IntProperty(
        name="Most Harmonics",
        description="The highest degree of view-dependent colour that is written; less makes the files smaller",
        default=MOST_HARMONICS,
        min=0,
        max=MOST_HARMONICS,
    )

    _export: _Frames | None = None
    _timer: Any = None

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and can_choose(cls, context)

    def invoke(self, context: Any, event: Any) -> set[Any]:
        scene, splats = context.scene, active_splats(context)
        self.first, self.last, self.step = scene.frame_start, scene.frame_end, scene.frame_step
        if splats is not None and not self.filepath:
            self.filepath = f"{bpy.path.clean_name(splats.name)}_####{self.filename_ext}"
        self.filter_glob = ";".join(f"*{suffix}" for suffix in file_formats.writes())
        return super().invoke(context, event)

    def check(self, context: Any) -> bool:
        """Blender's own would add a suffix to one that it does not know."""
        return False

    def execute(self, context: Any) -> set[Any]:
        done = asking.attempt(self, lambda: self._begin(context))
        if self._export is None or done == {"CANCELLED"}:
            return done
        if not current.is_interactive():
            return asking.attempt(self, self._export.write_all)
        if asking.attempt(self, self._export.write_next) == {"CANCELLED"}:
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(_TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[Any]:
        assert self._export is not None
        if event.type == "ESC":
            self._export.stop()
        if not self._export.is_over:
            return {"RUNNING_MODAL" if event.type == "ESC" else "PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return {"FINISHED"}

    def _begin(self, context: Any) -> None:
        splats = chosen_splats(self.object, context)
        if self.last < self.first:
            raise errors.UserError("bad_input", "The last frame comes before the first.", "Exchange the two.")
        path = Path(bpy.path.abspath(self.filepath))
        make_ready(splats, path)
        frames = list(range(self.first, self.last + 1, self.step))
        split_beyond = _split_beyond() if self.split else None
        self._export = _Frames(context.scene, splats.name, path, frames, self.harmonics, split_beyond)


def _split_beyond() -> float:
    """How many times as long, as "Apply pose as rest" has it. Raises UserError where there is no such method."""
    method = properties.method_called("apply_pose")
    found = [setting.default for setting in method.settings if setting.name == "split_beyond"] if method else []
    if not found or not isinstance(found[0], float):
        raise errors.UserError("unsupported", "This backend cannot split splats.", "Leave them whole, or update it.")
    return found[0]


@dataclass
class _Frames:
    """The frames that are still to be written; the scene goes from one to the next, and back at the end."""

    scene: bpy.types.Scene
    splats: str  # by name: an undo step leaves no reference whole
    path: Path
    waiting: list[int]
    harmonics: int
    split_beyond: float | None
    is_over: bool = False

    def __post_init__(self) -> None:
        self._before, self._count = self.scene.frame_current, len(self.waiting)

    def write_all(self) -> None:
        """Raises UserError at the first frame that cannot be written."""
        try:
            while self.waiting:
                asking.ask(self._next(), lambda _: None)
        except BaseException:
            self._end()
            raise
        self._end(f"Wrote {self._count} frames to '{self.path.parent}'")

    def write_next(self) -> None:
        """Blender goes on while a frame is written."""
        if self.is_over:
            return
        if not self.waiting:
            self._end(f"Wrote {self._count} frames to '{self.path.parent}'")
            return
        number = self._count - len(self.waiting) + 1
        current.say(f"Writing frame {self.waiting[0]}, {number} of {self._count}; Esc stops")
        try:
            write = self._next()
        except errors.UserError:
            self._end()
            raise
        asking.ask(self._or_end(write), lambda _: self.write_next())

    def stop(self) -> None:
        """What was written stays."""
        if not self.is_over:
            self._end(f"Stopped after {self._count - len(self.waiting)} of {self._count} frames")

    def _next(self) -> Callable[[Any], None]:
        """Goes to the next frame. Returns what writes it, which needs no Blender."""
        frame = self.waiting.pop(0)
        splats = bpy.data.objects.get(self.splats)
        if splats is None:
            raise errors.UserError("not_found", f"The splats '{self.splats}' are gone.", "Undo their removal.")
        self.scene.frame_set(frame)
        view_layer: Any = bpy.context.view_layer
        suffix = file_kinds.suffix_of(self.path, file_formats.writes())
        return outgoing(
            splats,
            frame_paths.path_of_frame(self.path, suffix, frame),
            view_layer.depsgraph,
            harmonics=self.harmonics,
            split_beyond=self.split_beyond,
        ).write

    def _or_end(self, write: Callable[[Any], None]) -> Callable[[Any], None]:
        def attempt(backend: Any) -> None:
            try:
                write(backend)
            except BaseException:
                current.post(self._end)
                raise

        return attempt

    def _end(self, told: str = "") -> None:
        if self.is_over:
            return
        self.is_over = True
        self.waiting.clear()
        self.scene.frame_set(self._before)
        if told:
            current.say(told)


def _draw_menu(self: Any, _context: Any) -> None:
    self.layout.operator("splatwright.export_animation", text="Gaussian Splats, Animated (a file for each frame)")


def _menu() -> Any:  # the stubs of 4.5 think that a menu draws without itself
    return bpy.types.TOPBAR_MT_file_export


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_export_animation)
    _menu().append(_draw_menu)


def unregister() -> None:
    _menu().remove(_draw_menu)
    bpy.utils.unregister_class(SPLATWRIGHT_OT_export_animation)
