# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Captures this scene, or takes photos; shows the cameras that will take pictures, and those that took the photos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import bpy

from ..core import console, wording
from ..host import capture_preview, current, objects
from ..protocol import errors, things
from . import asking, uploads
from .operators_train import capture_folder

if TYPE_CHECKING:  # Blender starts without what only captures need
    from ..core.capture_file import Existing
    from ..host import scene_capture
    from ..protocol import remote

_TICK_S = 0.02
_EXISTING = ("KEEP", "REPLACE", "EXTEND")

_progress: scene_capture.Progress | None = None


def progress() -> scene_capture.Progress | None:
    """Of the capture that is being rendered in a window; None = there is none."""
    return _progress


class SPLATWRIGHT_OT_capture_scene(bpy.types.Operator):
    bl_idname = "splatwright.capture_scene"
    bl_label = "Capture This Scene"
    bl_description = "Render pictures of the scene from many sides, to train splats from; Esc stops it"
    bl_options = {"REGISTER", "UNDO"}

    folder: bpy.props.StringProperty(
        name="Folder",
        description="Where the pictures are put; empty: the scene's choice",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    existing: bpy.props.StringProperty(
        name="If There Is One", description="KEEP, REPLACE or EXTEND an earlier capture; empty: the scene's choice"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if bpy.app.is_job_running("RENDER"):
            cls.poll_message_set("Blender is rendering")
            return False
        if _progress is not None:
            cls.poll_message_set("A capture is being rendered")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        """All at once, for scripts and without a window."""

        def capture() -> None:
            views, printed = -1, time.monotonic()
            for now in self._begin(context):
                views += 1
                if time.monotonic() - printed >= console.EVERY_S:
                    printed = time.monotonic()
                    left = "" if now.seconds_left is None else f", {wording.duration(now.seconds_left)} left"
                    print(f"Captured {now.done} of {now.total}{left}", flush=True)
            self.report({"INFO"}, f"Captured {views} views into {self._target}")

        return asking.attempt(self, capture)

    def invoke(self, context: Any, event: bpy.types.Event) -> set[Any]:
        if not current.is_interactive():
            return self.execute(context)

        def begin() -> None:
            self._steps = self._begin(context)
            _show(next(self._steps))  # refuses before anything is rendered

        if asking.attempt(self, begin) != {"FINISHED"}:
            return {"CANCELLED"}
        self._rests = True
        self._timer = context.window_manager.event_timer_add(_TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: bpy.types.Event) -> set[Any]:
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            self.report({"INFO"}, "The capture was stopped; nothing was kept")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}  # the scene must not change between two pictures
        # Every second tick rests: Esc, pressed while a picture was rendered, is heard before the next one begins.
        self._rests = not self._rests
        if self._rests:
            return {"RUNNING_MODAL"}
        is_over = True

        def step() -> None:
            nonlocal is_over
            now = next(self._steps, None)
            if now is not None:
                _show(now)
            is_over = now is None

        try:
            answer = asking.attempt(self, step)
        finally:  # also after a mistake of ours, so that Blender is not left without its mouse
            if is_over:
                self.cancel(context)
        if not is_over:
            return {"RUNNING_MODAL"}
        if answer == {"FINISHED"}:
            self.report({"INFO"}, f"Captured into {self._target}")
        return answer

    def cancel(self, context: Any) -> None:
        """Also called by Blender, when it ends or opens another file."""
        self._steps.close()
        context.window_manager.event_timer_remove(self._timer)
        _show(None)

    def _begin(self, context: Any) -> Iterator[Any]:
        from ..host import capture_plan, scene_capture

        chosen = context.scene.splatwright.capture
        self._target = _folder(self.folder or chosen.folder)
        existing = self.existing or chosen.existing
        if existing not in _EXISTING:
            raise errors.UserError(
                "bad_input", f"An earlier capture cannot be '{existing}'.", f"Choose {', '.join(_EXISTING)}."
            )
        plan = capture_plan.plan_of(context, chosen)
        if self.folder:
            chosen.folder = self.folder  # where the training looks for it
        context.scene.splatwright.capture_kind = "SCENE"
        return scene_capture.capture(plan, self._target, cast("Existing", existing))


def _show(now: scene_capture.Progress | None) -> None:
    global _progress
    _progress = now
    current.redraw()


def _folder(text: str) -> Path:
    """Raises UserError for a folder beside a .blend that was never saved."""
    if text.startswith("//") and not bpy.data.filepath:
        raise errors.UserError(
            "bad_input",
            f"The folder '{text}' lies beside the .blend file, which was not saved yet.",
            "Save the file first, or choose another folder.",
        )
    return Path(bpy.path.abspath(text)).resolve()


class SPLATWRIGHT_OT_preview_capture(bpy.types.Operator):
    bl_idname = "splatwright.preview_capture"
    bl_label = "Show Cameras"
    bl_description = "Show in the viewport where the cameras of the capture will stand"
    bl_options = {"REGISTER", "UNDO"}

    visible: bpy.props.BoolProperty(name="Visible", description="Show the cameras, or hide them", default=True)

    def execute(self, context: Any) -> set[Any]:
        if not self.visible:
            capture_preview.hide(context.scene)
            return {"FINISHED"}

        def show() -> None:
            capture_preview.show(context, context.scene.splatwright.capture)

        return asking.attempt(self, show)


class SPLATWRIGHT_OT_pick_capture_folder(bpy.types.Operator):
    bl_idname = "splatwright.pick_capture_folder"
    bl_label = "Choose Capture Folder"
    bl_description = "A folder of photos, with or without camera poses (COLMAP, transforms.json, LLFF)"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(
        name="Folder",
        description="The folder of photos",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: Any, event: bpy.types.Event) -> set[Any]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[Any]:
        def pick() -> None:
            from ..core import photo_files

            folder = _folder(self.directory)
            photo_files.refuse_folder(folder)
            _choose(context, folder)

        return asking.attempt(self, pick)


class SPLATWRIGHT_OT_pick_photos(bpy.types.Operator):
    bl_idname = "splatwright.pick_photos"
    bl_label = "Choose Photos"
    bl_description = "Photos of one scene; the backend finds out where they were taken"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(
        name="Folder",
        description="Where the photos lie",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement)
    folder: bpy.props.StringProperty(
        name="Capture Folder",
        description="Where a capture is made of them; empty: beside them",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: Any, event: bpy.types.Event) -> set[Any]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[Any]:
        def pick() -> None:
            from ..core import photo_files

            lying = _folder(self.directory)
            photos = [lying / file.name for file in self.files if file.name]
            _choose(context, photo_files.gather(photos, _folder(self.folder) if self.folder else None))

        return asking.attempt(self, pick)


def _choose(context: Any, folder: Path) -> None:
    chosen = context.scene.splatwright
    chosen.capture_kind = "FOLDER"
    chosen.capture_path = str(folder)


class SPLATWRIGHT_OT_import_capture_cameras(bpy.types.Operator):
    bl_idname = "splatwright.import_capture_cameras"
    bl_label = "Import Capture Cameras"
    bl_description = "Make a Blender camera for each photo of the capture, with the photo as its background"
    bl_options = {"REGISTER"}

    capture: bpy.props.StringProperty(
        name="Capture",
        description="A capture folder; empty: the scene's",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    splats: bpy.props.StringProperty(
        name="Splats", description="The splat object that the cameras move with; empty: the active one, or none"
    )
    backgrounds: bpy.props.BoolProperty(name="Photos", description="Show the photos in the cameras", default=True)
    match_scene: bpy.props.BoolProperty(
        name="Match Resolution", description="The scene gets the photos' resolution and pixel aspect", default=True
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._ask(context))

    def _ask(self, context: Any) -> None:
        folder = _folder(self.capture or capture_folder(context.scene))
        name = self.splats or _active_splats(context)
        backgrounds, match_scene = self.backgrounds, self.match_scene  # the operator is gone when the answer comes

        def views(backend: remote.Backend) -> tuple[things.CapturedView, ...]:
            with uploads.sending(backend, folder.name) as upload:
                return backend.views(folder, **upload)

        def create(found: tuple[things.CapturedView, ...]) -> None:
            from ..host import photo_cameras

            splats = bpy.data.objects.get(name) if name else None
            if name and splats is None:
                raise errors.UserError("not_found", f"There is no object '{name}'.", "Choose a splat object.")
            _, remarks = photo_cameras.create(
                bpy.context, found, folder, splats=splats, backgrounds=backgrounds, match_scene=match_scene
            )
            objects.push_undo("Import capture cameras")
            current.say(" ".join([f"{len(found)} cameras of {folder.name} are in the scene.", *remarks]))

        asking.ask(views, create)


def _active_splats(context: Any) -> str:
    """The active object where it is made of splats, else the only splat object there is."""
    active = context.view_layer.objects.active
    if active is not None and objects.is_splats(active):
        return active.name
    found = objects.splat_objects(context.scene)
    return found[0].name if len(found) == 1 else ""


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_capture_scene,
    SPLATWRIGHT_OT_preview_capture,
    SPLATWRIGHT_OT_pick_capture_folder,
    SPLATWRIGHT_OT_pick_photos,
    SPLATWRIGHT_OT_import_capture_cameras,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
