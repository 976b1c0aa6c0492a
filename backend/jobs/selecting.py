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
from backend.store.selections import SelectionStore
from shared_protocol.errors import UserError
from shared_protocol.selecting import (
    Everything,
    InBox,
    InOutline,
    InRange,
    InSphere,
    Inverted,
    OfColor,
    Select,
    SelectionInfo,
    Selector,
    Stored,
    UnderBrush,
)
from shared_protocol.things import Bounds, Matrix, ViewCamera


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
        match wish.mode:
            case "set":
                selected = found
            case "add":
                selected = base | found
            case "subtract":
                selected = base & ~found
            case "intersect":
                selected = base & found
            case _:
                assert_never(wish.mode)
        if wish.hidden:
            selected = selected & ~self._selections.read(card, wish.hidden)
        return SelectionInfo(
            selection=self._selections.keep(card, selected),
            asset=card.asset,
            version=card.id,
            count=int(selected.sum()),
            total=len(selected),
            bounds=_bounds(cloud.means[selected]),
        )

    def _found(self, card: VersionCard, cloud: SplatCloud, base: np.ndarray, by: Selector) -> np.ndarray:
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
                return self._selections.read(card, by.selection)
            case _:
                assert_never(by)


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
