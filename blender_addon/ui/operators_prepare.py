# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Finds out in the background what selecting by neighbours and by visibility needs to know of a version."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy

from ..host import current, histograms, selections
from ..protocol import selecting, things
from . import asking
from .operators_select import SplatsOperator

if TYPE_CHECKING:
    pass

_FEW = 200_000  # splats whose neighbours are found while one waits

_prepared: set[tuple[str, str]] = set()  # assets and versions


class SPLATWRIGHT_OT_prepare_splats(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.prepare_splats"
    bl_label = "Prepare"
    bl_description = (
        "Find each splat's neighbours and how much is seen of it, in the background: growing, flooding and floaters "
        "need not wait then, and Visibility is known"
    )

    def act(self, context: Any, splats: Any) -> None:
        _begin(splats, lambda: None)


def change_by_neighbours(operator: SplatsOperator, splats: Any, *changes: selections.Change) -> None:
    """Changes that need the neighbours: at once, or after these were found as a job that shows how far it is.

    Raises UserError.
    """
    own = splats.splatwright
    info = current.session().assets.get(own.asset)
    is_small = info is None or info.splats <= _FEW
    if is_small or not current.is_interactive() or (own.asset, own.version) in _prepared:
        for wanted in changes:
            operator.change(wanted)
        return

    def change() -> None:  # the operator is gone by then
        for wanted in changes:
            selections.change(wanted)

    _begin(splats, change)


def _begin(splats: Any, then: Callable[[], None]) -> None:
    asset, version = splats.splatwright.asset, splats.splatwright.version
    wish = selecting.IndexVersion(asset=asset, version=version)

    def ended(state: things.JobState) -> None:
        if state.status == "finished":
            _prepared.add((asset, version))
            histograms.forget(asset)
            then()

    asking.run_job(wish, ended)


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_prepare_splats)


def unregister() -> None:
    bpy.utils.unregister_class(SPLATWRIGHT_OT_prepare_splats)
    _prepared.clear()
