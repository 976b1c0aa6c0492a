# pyright: reportAttributeAccessIssue=false
"""How well each view of the splats that a panel looks at was measured, as a list that Blender can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from ..core import events
from ..protocol import errors, messages, things
from . import current

_MEASURING = ("training", "evaluation")  # categories of jobs whose end brings figures

_shown: tuple[str, str] | None = None  # asset and version that the list is about
_asked: tuple[str, str] | None = None  # the answer is on its way
_is_filling = False  # it is us who choose in the list, and nobody wants to fly


def _chosen(_self: Any, _context: Any) -> None:
    view = active()
    if view is not None and not _is_filling:
        bpy.ops.splatwright.fly_to_view("INVOKE_DEFAULT", view=view.path)


def _redrawn(_self: Any, _context: Any) -> None:
    current.redraw()


class SPLATWRIGHT_PG_view(bpy.types.PropertyGroup):
    """name: as it reads in the list; Blender's lists are searched by it."""

    path: bpy.props.StringProperty(name="View", description="The photo's path below the capture's folder")
    psnr: bpy.props.FloatProperty(name="PSNR", description="How much the splats look like the photo, in dB")
    held_out: bpy.props.BoolProperty(name="Held Out", description="The splats were not trained on this photo")


class SPLATWRIGHT_PG_views(bpy.types.PropertyGroup):
    """Is forgotten when Blender ends."""

    views: bpy.props.CollectionProperty(type=SPLATWRIGHT_PG_view)
    active: bpy.props.IntProperty(
        name="View", description="Fly to where this photo was taken, and show it over the view", update=_chosen
    )
    mode: bpy.props.EnumProperty(
        name="Compare",
        description="How the photo is shown over the view",
        items=[
            ("WIPE", "Wipe", "The photo on the left, the view on the right", "NONE", 0),
            ("DIFFERENCE", "Difference", "How far photo and splats differ: black = not at all", "NONE", 1),
            ("OFF", "Off", "Only the view", "NONE", 2),
        ],
        default="WIPE",
        update=_redrawn,
    )
    split: bpy.props.FloatProperty(
        name="Split",
        description="How much of the photo is seen, from its left side on",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_redrawn,
    )
    gain: bpy.props.FloatProperty(
        name="Gain",
        description="By how much the difference is made brighter",
        default=4.0,
        min=1.0,
        max=32.0,
        update=_redrawn,
    )


def chosen() -> Any:
    """The list, and how the photo is shown."""
    manager: Any = bpy.context.window_manager
    return manager.splatwright_views


def active() -> Any:
    """The view that is chosen in the list; None = the list is empty."""
    group = chosen()
    return group.views[group.active] if 0 <= group.active < len(group.views) else None


def is_about(asset: str, version: str) -> bool:
    """Whether the list shows these splats; if it does not, it will after the draw, in which nothing may be changed."""
    if _shown != (asset, version) and _asked != (asset, version) and asset in current.session().assets:
        current.post(lambda: ask(asset, version))
    return _shown == (asset, version)


def ask(asset: str, version: str) -> None:
    """Has the list filled; the answer comes with the tick."""
    global _asked
    link = current.link()
    if link is None or _asked == (asset, version):
        return
    _asked = (asset, version)
    _ask_page(link, asset, version, ())


def _ask_page(link: Any, asset: str, version: str, before: tuple[things.MeasuredView, ...]) -> None:
    def answered(answer: Any) -> None:
        global _asked
        match answer:
            case messages.FiguresOfViews(views=views, total=total) if views and len(before) + len(views) < total:
                _ask_page(link, asset, version, (*before, *views))
                return
            case messages.FiguresOfViews(views=views):
                if _asked == (asset, version):
                    fill(asset, version, (*before, *views))
            case errors.UserError(kind="connection"):
                pass  # it is asked again when a panel is drawn and the connection is back
            case errors.UserError():
                fill(asset, version, ())  # without splats there is nothing to measure
            case BaseException():
                current.tell(answer)
        if _asked == (asset, version):
            _asked = None

    try:
        future = link.ask(messages.ListFigures(asset=asset, version=version, first=len(before)))
    except errors.UserError:  # the connection ended in this moment
        answered(errors.UserError("connection", ""))
        return
    current.when_done(future, answered)


def fill(asset: str, version: str, views: Sequence[things.MeasuredView]) -> None:
    """The list, worst first."""
    global _shown, _is_filling
    group = chosen()
    before = active().path if _shown is not None and _shown[0] == asset and active() is not None else ""
    group.views.clear()
    for view in sorted(views, key=lambda view: (view.psnr, view.name)):
        item = group.views.add()
        item.name = view.name.rpartition("/")[2]
        item.path, item.psnr, item.held_out = view.name, view.psnr, view.held_out
    paths = [item.path for item in group.views]
    _is_filling = True
    group.active = paths.index(before) if before in paths else -1
    _is_filling = False
    _shown = (asset, version)
    current.redraw()


def _heard(event: events.Event) -> None:
    global _shown
    match event:
        case events.AssetsCame():
            _shown = None
        case events.Heard(message=messages.JobChanged(job=state)):
            if state.category in _MEASURING and state.status in things.ENDED and _shown is not None:
                _shown = None if _shown[0] == state.asset else _shown
                current.redraw()
        case _:
            pass


_CLASSES = (SPLATWRIGHT_PG_view, SPLATWRIGHT_PG_views)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    owner: Any = bpy.types.WindowManager
    owner.splatwright_views = bpy.props.PointerProperty(type=SPLATWRIGHT_PG_views)
    current.listen(_heard)


def unregister() -> None:
    global _shown, _asked
    current.unlisten(_heard)
    _shown = _asked = None
    owner: Any = bpy.types.WindowManager
    del owner.splatwright_views
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
