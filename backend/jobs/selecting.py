"""Finds the splats that are to be selected, and keeps them as selections."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import numpy as np

from backend.selection import by_value, on_screen
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.select_steps import SelectStep
from backend.store.selections import SelectionStore
from shared_protocol.errors import UserError
from shared_protocol.selecting import (
    Everything,
    InBox,
    InOutline,
    InRange,
    InSphere,
    Inverted,
    Mode,
    OfColor,
    Select,
    SelectionInfo,
    Selector,
    Stored,
    UnderBrush,
)
from shared_protocol.things import Bounds, Matrix, ViewCamera

# What finds the same splats whatever is selected; selections by these alone begin anew.
_BY_THEMSELVES = (InOutline, UnderBrush, InBox, InSphere, OfColor, InRange, Everything)
_MOST_STEPS = 500  # that are remembered of how a selection came about


class Selecting:
    """cloud_of: the splats of a version, which may be kept in memory."""

    def __init__(
        self, assets: AssetStore, selections: SelectionStore, cloud_of: Callable[[VersionCard], SplatCloud]
    ) -> None:
        self._assets, self._selections, self._cloud_of = assets, selections, cloud_of

    def select(self, wish: Select) -> SelectionInfo:
        """Raises UserError when a version or a selection that it names is not here."""
        card = self._assets.version(wish.asset, wish.version)
        cloud, base = self._cloud_of(card), self._selections.read(card, wish.base)
        found = self._found(card, cloud, base, wish.by)
        selected = combined(base, found, wish.mode)
        if wish.hidden:
            selected = selected & ~self._selections.read(card, wish.hidden)
        return SelectionInfo(
            selection=self._selections.keep(card, selected, self._steps(card, wish)),
            asset=card.asset,
            version=card.id,
            count=int(selected.sum()),
            total=len(selected),
            bounds=_bounds(cloud.means[selected]),
        )

    def _steps(self, card: VersionCard, wish: Select) -> tuple[SelectStep, ...]:
        """How the selection came about, for recipes; none where only its splats say it."""
        step = SelectStep(mode=wish.mode, by=wish.by)
        if isinstance(wish.by, Stored) or wish.hidden:
            return ()
        if wish.mode == "set" and isinstance(wish.by, _BY_THEMSELVES):
            return (step,)
        before = self._selections.steps(card, wish.base) if wish.base else ()
        is_known = before or not wish.base
        return (*before, step) if is_known and len(before) < _MOST_STEPS else ()

    def _found(self, card: VersionCard, cloud: SplatCloud, base: np.ndarray, by: Selector) -> np.ndarray:
        if isinstance(by, Stored):
            return self._selections.read(card, by.selection)
        return find_splats(cloud, base, by)


def find_splats(cloud: SplatCloud, base: np.ndarray, by: Selector) -> np.ndarray:
    """bool [N]. base: what is selected already, bool [N]. Raises UserError for what cannot be found in these alone."""
    match by:
        case InOutline():
            return on_screen.in_outline(_seen(cloud, by.camera, by.world_from_object), by.points)
        case UnderBrush():
            return on_screen.under_brush(_seen(cloud, by.camera, by.world_from_object), by.path, by.radius_px)
        case InBox():
            return by_value.in_box(cloud.means, _with_inside(by.asset_from_box))
        case InSphere():
            return by_value.in_sphere(cloud.means, _with_inside(by.asset_from_sphere))
        case OfColor():
            return by_value.of_color(cloud, by.rgb, by.tolerance)
        case InRange():
            return by_value.in_range(cloud, by.attribute, by.low, by.high)
        case Everything():
            return np.ones(len(cloud), bool)
        case Inverted():
            return ~base
        case Stored():
            raise UserError("unsupported", "A stored selection is known in its own version only.")
        case _:
            assert_never(by)


def combined(base: np.ndarray, found: np.ndarray, mode: Mode) -> np.ndarray:
    """bool [N]."""
    match mode:
        case "set":
            return found
        case "add":
            return base | found
        case "subtract":
            return base & ~found
        case "intersect":
            return base & found
        case _:
            assert_never(mode)


def _seen(cloud: SplatCloud, wanted: ViewCamera, world_from_object: Matrix) -> on_screen.Seen:
    camera = Camera(
        camera_from_world=_matrix(wanted.camera_from_world),
        fx=wanted.fx,
        fy=wanted.fy,
        cx=wanted.cx,
        cy=wanted.cy,
        width=wanted.width,
        height=wanted.height,
        orthographic=wanted.orthographic,
    )
    return on_screen.seen(cloud.means, camera, _matrix(world_from_object), near=wanted.near, far=wanted.far)


def _matrix(numbers: Matrix) -> np.ndarray:
    return np.array(numbers, np.float64).reshape(4, 4)


def _with_inside(numbers: Matrix) -> np.ndarray:
    """Raises UserError for a volume that is flat."""
    matrix = _matrix(numbers)
    if not abs(np.linalg.det(matrix[:3, :3])) > 0:
        raise UserError("bad_input", "The region is flat, so there is nothing inside it.", "Give it a volume.")
    return matrix


def _bounds(means: np.ndarray) -> Bounds | None:
    if not len(means):
        return None
    return tuple(float(value) for value in (*means.min(0), *means.max(0)))  # type: ignore[return-value]  6 of them
