# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Compares splats with the photos of their capture: measures every view, flies to the worst, wipes photo over view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from ..core import overlay, photo_view, wording
from ..host import current, measured_views, objects, photo_comparison, view_flight
from ..protocol import errors, messages, things
from . import asking, uploads
from .chosen_splats import active_splats, chosen_splats

if TYPE_CHECKING:
    from ..protocol import remote

_LARGEST_PHOTO = 4096  # pixels along its longer side; no viewport shows more
_WITHOUT_DEPTH = 1.0


class SPLATWRIGHT_OT_measure_views(bpy.types.Operator):
    bl_idname = "splatwright.measure_views"
    bl_label = "Measure All Views"
    bl_description = "Compare the active splats with every photo of their capture, to find out where they are worst"
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")
    capture: bpy.props.StringProperty(
        name="Capture",
        description="A capture folder; empty: the one that the splats were trained on",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._measure(context))

    def _measure(self, context: Any) -> None:
        splats = _splats(context, self.object)
        asset, version = splats.splatwright.asset, objects.shown_version(splats)
        capture = Path(bpy.path.abspath(self.capture)).resolve() if self.capture else None
        begun: list[str] = []

        def measure(backend: remote.Backend) -> things.JobState:
            with uploads.sending(backend, capture.name if capture is not None else splats.name) as upload:
                job = backend.measure_views(asset, version, capture, **(upload if capture is not None else {}))
            return backend.job_state(job.id)

        def started(state: things.JobState) -> None:
            begun.append(state.job)
            asking.learn(job=state)

        asking.ask(measure, started)
        if not current.is_interactive():
            state = asking.wait_for_job(begun[0])
            self.report({"INFO"}, f"{state.name}: {wording.status(state)}")


class SPLATWRIGHT_OT_fly_to_view(bpy.types.Operator):
    bl_idname = "splatwright.fly_to_view"
    bl_label = "Fly to the Worst View"
    bl_description = (
        "Bring the viewport to where the photo was taken that the splats are least like, with the photo over it"
    )
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")
    view: bpy.props.StringProperty(
        name="View", description="The photo's path below the capture's folder; empty: the worst"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._fly(context))

    def _fly(self, context: Any) -> None:
        splats = _splats(context, self.object)
        name, asset = splats.name, splats.splatwright.asset
        version, wanted = objects.shown_version(splats), self.view
        area, _, region = view_flight.view_of(context)
        if area is None:
            raise errors.UserError("not_found", "There is no 3D viewport here.", "Open one.")
        size, covered = (max(region.width, 1), max(region.height, 1)), _covered(area)

        def look(backend: remote.Backend) -> photo_comparison.Comparison:
            view = wanted or _worst(backend.figures(asset, version))
            # A small one first: how large it will be seen follows from its lens.
            lens = backend.photo(asset, view, version, longer_side=16).camera
            side = photo_view.longer_side(lens, *size, photo_view.lens(lens, *size, covered))
            photo = backend.photo(asset, view, version, longer_side=min(max(side, 16), _LARGEST_PHOTO))
            request = photo_comparison.request_of(asset, version, photo)
            picture = backend.request(request, messages.Picture, 600.0)
            assert picture.depth is not None
            distance = overlay.middle_depth(picture.color, picture.depth) or _WITHOUT_DEPTH
            return photo_comparison.Comparison(
                name, view, asset, version, photo, np.ascontiguousarray(picture.color), distance
            )

        asking.ask(look, lambda found: _arrive(area.as_pointer(), found, size, covered))


def _arrive(address: int, found: photo_comparison.Comparison, size: tuple[int, int], covered: float) -> None:
    area = view_flight.area_at(address)
    placed = photo_comparison.world_from_asset(found)
    if area is None or placed is None:  # closed or deleted while the photo was on its way
        return
    camera = found.photo.camera
    eye = photo_view.eye(camera, placed)
    distance = found.distance * abs(float(np.linalg.det(placed[:3, :3]))) ** (1 / 3)
    view_flight.fly(area, view_flight.Place.at_eye(eye, distance, photo_view.lens(camera, *size, covered)))
    photo_comparison.show(found)
    if measured_views.chosen().mode == "OFF":
        measured_views.chosen().mode = "WIPE"
    if not photo_view.can_fit(placed):
        current.say(f"'{found.object}' is scaled unevenly, so that the photo does not fit what is seen.")


def _covered(area: Any) -> float:
    """Pixels at a side of the viewport that a sidebar lies over."""
    context: Any = bpy.context
    if not context.preferences.system.use_region_overlap:
        return 0.0
    widths = [r.width for r in area.regions if r.type in ("UI", "TOOLS") and r.width > 1]
    return float(max(widths, default=0))


def _worst(views: tuple[things.MeasuredView, ...]) -> str:
    if not views:
        raise errors.UserError(
            "not_found",
            "These splats were not compared with photos yet.",
            "Measure their views first.",
            "splatwright.measure_views",
        )
    return min(views, key=lambda view: (view.psnr, view.name)).name


def _splats(context: Any, name: str) -> Any:
    found = objects.splat_objects(context.scene)
    if not name and active_splats(context) is None and len(found) == 1:
        return found[0]
    return chosen_splats(name, context)


class SPLATWRIGHT_OT_leave_view(bpy.types.Operator):
    bl_idname = "splatwright.leave_view"
    bl_label = "Come Back"
    bl_description = "Bring the viewport back to where it was, without a photo"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not view_flight.has_flown():
            cls.poll_message_set("The view is nowhere else")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        photo_comparison.show(None)
        view_flight.fly_back()
        return {"FINISHED"}


class SPLATWRIGHT_OT_wipe_photo(bpy.types.Operator):
    bl_idname = "splatwright.wipe_photo"
    bl_label = "Drag the Wipe"
    bl_description = "Move the border between photo and view with the mouse; a click leaves it there, Esc where it was"
    bl_options = {"REGISTER"}

    split: bpy.props.FloatProperty(
        name="Split", description="How much of the photo is seen", default=0.5, min=0.0, max=1.0, subtype="FACTOR"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if photo_comparison.shown() is None:
            cls.poll_message_set("Choose a view first")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        chosen = measured_views.chosen()
        chosen.mode, chosen.split = "WIPE", self.split
        return {"FINISHED"}

    def invoke(self, context: Any, event: bpy.types.Event) -> set[Any]:
        _, self._space, self._region = view_flight.view_of(context)
        if self._region is None:
            return {"CANCELLED"}
        self._before = (measured_views.chosen().mode, measured_views.chosen().split)
        measured_views.chosen().mode = "WIPE"
        context.window_manager.modal_handler_add(self)
        context.window.cursor_modal_set("MOVE_X")
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: bpy.types.Event) -> set[Any]:
        chosen = measured_views.chosen()
        comparison = photo_comparison.shown()
        if event.type == "MOUSEMOVE" and comparison is not None:
            seen = np.array(self._space.region_3d.perspective_matrix, np.float64)
            x = event.mouse_x - self._region.x
            chosen.split = self.split = photo_comparison.share_at(comparison, seen, x, self._region.width)
        elif event.type in ("RIGHTMOUSE", "ESC") or comparison is None:
            chosen.mode, chosen.split = self._before
            context.window.cursor_modal_restore()
            return {"CANCELLED"}
        elif event.type in ("LEFTMOUSE", "RET") and event.value == "PRESS":
            context.window.cursor_modal_restore()
            return {"FINISHED"}
        return {"RUNNING_MODAL"}


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_measure_views,
    SPLATWRIGHT_OT_fly_to_view,
    SPLATWRIGHT_OT_leave_view,
    SPLATWRIGHT_OT_wipe_photo,
)

_keys: list[tuple[Any, Any]] = []


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    manager: Any = bpy.context.window_manager
    configuration = manager.keyconfigs.addon
    if configuration is not None:  # there is none without a window
        keymap = configuration.keymaps.new(name="3D View", space_type="VIEW_3D")
        _keys.append((keymap, keymap.keymap_items.new(SPLATWRIGHT_OT_leave_view.bl_idname, "ESC", "PRESS")))


def unregister() -> None:
    while _keys:
        keymap, item = _keys.pop()
        keymap.keymap_items.remove(item)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
