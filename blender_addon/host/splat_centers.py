# pyright: reportAttributeAccessIssue=false
"""Draws the centres of the active object's splats over a 3D view: selected ones yellow, hidden ones not at all."""

from __future__ import annotations

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core import events
from ..core.selecting import Shown
from ..protocol import errors, selecting
from . import current, objects, selections, viewport_drawing

_SELECTED, _OTHERS = (1.0, 0.95, 0.2, 1.0), (0.1, 0.3, 0.9, 0.9)
_SIZE = 3.0  # pixels at a scale of 1
_AXES: tuple[selecting.Attribute, ...] = ("x", "y", "z")

Parts = tuple[tuple[np.ndarray, tuple[float, float, float, float]], ...]  # centres [N, 3] and their colour

_shown: Shown | None = None  # what `_parts` are of
_parts: Parts | None = None  # None: on their way, or refused
_batches: list[tuple[Any, tuple[float, float, float, float]]] = []
_handle: Any = None


def of(splats: Any) -> Parts | None:
    """The selected splats' centres and the others', in the asset's frame; None until the backend has said them."""
    global _shown, _parts
    now = selections.shown(splats)
    if now != _shown and now.version and current.link() is not None:
        if _shown is None or (now.asset, now.version) != (_shown.asset, _shown.version):
            _parts = None  # those of another version would be wrong; those of another selection stay meanwhile
        _shown = now
        current.post(lambda: _ask(now))
    return _parts


def parts_of(centers: np.ndarray, selected: np.ndarray, hidden: np.ndarray) -> Parts:
    """centers: [N, 3]. selected, hidden: bool [N]."""
    return (centers[~selected & ~hidden], _OTHERS), (centers[selected & ~hidden], _SELECTED)


def _ask(now: Shown) -> None:
    link = current.link()
    wanted: list[Any] = [
        selecting.FetchValues(asset=now.asset, version=now.version, attribute=axis) for axis in _AXES
    ] + [
        selecting.FetchSelection(asset=now.asset, version=now.version, selection=name)
        for name in (now.selection, now.hidden)
        if name
    ]
    answers: dict[int, Any] = {}

    def answered(number: int, answer: Any) -> None:
        answers[number] = answer
        if len(answers) == len(wanted) and now == _shown:
            _learn(now, [answers[i] for i in range(len(wanted))])

    try:
        for number, wish in enumerate(wanted):
            if link is not None:
                current.when_done(link.ask(wish), lambda answer, number=number: answered(number, answer))
    except errors.UserError:
        pass  # the connection is gone, which is told elsewhere


def _learn(now: Shown, answers: list[Any]) -> None:
    global _parts
    if any(isinstance(answer, BaseException) for answer in answers):
        return
    centers = np.stack([answer.values for answer in answers[:3]], axis=1)  # [N, 3]
    masks = {
        name: answer.selected
        for name, answer in zip(filter(None, (now.selection, now.hidden)), answers[3:], strict=True)
    }
    none = np.zeros(len(centers), bool)
    _parts = parts_of(centers, masks.get(now.selection, none), masks.get(now.hidden, none))
    _batches.clear()
    current.redraw()


def _draw(context: Any) -> None:
    splats = context.view_layer.objects.active
    wanted = context.scene.splatwright.select.show_centers and context.space_data.overlay.show_overlays
    if not wanted or splats is None or not objects.is_splats(splats) or not splats.visible_get():
        return
    parts = of(splats)
    if parts is None:
        return
    shader: Any = gpu.shader.from_builtin("POINT_UNIFORM_COLOR")
    if not _batches:
        arrays: list[tuple[Any, Any]] = [(centers, color) for centers, color in parts if len(centers)]
        _batches.extend((batch_for_shader(shader, "POINTS", {"pos": centers}), color) for centers, color in arrays)
    state: Any = gpu.state
    matrices: Any = gpu.matrix  # the stubs do not know that it can be pushed for a block
    state.blend_set("ALPHA")
    state.depth_test_set("NONE")
    state.point_size_set(_SIZE * context.preferences.system.ui_scale)
    try:
        with matrices.push_pop():
            matrices.multiply_matrix(splats.matrix_world)
            for batch, color in _batches:
                shader.bind()
                shader.uniform_float("color", color)
                batch.draw(shader)
    finally:
        state.blend_set("NONE")
        state.point_size_set(1.0)


def _heard(event: events.Event) -> None:
    if isinstance(event, events.LinkChanged):
        _forget()


def _forget() -> None:
    global _shown, _parts
    _shown = _parts = None
    _batches.clear()


def register() -> None:
    global _handle
    current.listen(_heard)
    _handle = bpy.types.SpaceView3D.draw_handler_add(viewport_drawing.guarded(_draw), (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    global _handle
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    _handle = None
    current.unlisten(_heard)
    _forget()
