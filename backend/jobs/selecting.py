"""Finds the splats that are to be selected, and keeps them as selections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import numpy as np

from backend.jobs.splat_values import label_sums_of, splat_values
from backend.jobs.wire_cameras import camera_of, matrix_of_wire
from backend.selection import by_value, neighbourhood, on_screen
from backend.selection.flash_splat import belongs, confidences
from backend.selection.in_picture import LEAST_SHOWN, Look, contributions, drawn_depth
from backend.splats.cloud import SplatCloud
from backend.splats.enclosed import enclosed_by
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.select_steps import SelectStep
from backend.store.selection_names import SelectionNames
from backend.store.selections import SelectionStore
from shared_protocol.errors import UserError
from shared_protocol.selecting import (
    Connected,
    Contributing,
    Everything,
    Floaters,
    Grown,
    InBox,
    InMesh,
    InOutline,
    InRange,
    InSphere,
    Inverted,
    Labelled,
    Mode,
    Named,
    OfColor,
    Select,
    SelectionInfo,
    Selector,
    Stored,
    UnderBrush,
)
from shared_protocol.things import Bounds, Matrix

# What finds the same splats whatever is selected; selections by these alone begin anew.
_BY_THEMSELVES = (InOutline, UnderBrush, InBox, InSphere, InMesh, OfColor, InRange, Everything, Floaters, Contributing)
_IN_THEIR_VERSION = (Stored, Named, Labelled)  # what only the version that they belong to knows
_MEASURED = ("label", "confidence", "visibility")  # likewise
_MOST_STEPS = 500  # that are remembered of how a selection came about


class Selecting:
    """cloud_of: the splats of a version, which may be kept in memory. device: where views are drawn."""

    def __init__(
        self,
        assets: AssetStore,
        selections: SelectionStore,
        names: SelectionNames,
        cloud_of: Callable[[VersionCard], SplatCloud],
        device: str,
    ) -> None:
        self._assets, self._selections, self._names = assets, selections, names
        self._cloud_of, self._device = cloud_of, device

    def select(self, wish: Select) -> SelectionInfo:
        """Raises UserError when a version or a selection that it names is not here."""
        card = self._assets.version(wish.asset, wish.version)
        cloud, base = self._cloud_of(card), self._selections.read(card, wish.base)
        hidden = self._selections.read(card, wish.hidden)
        found = self._found(card, cloud, base, wish.by, hidden)
        selected = combined(base, found, wish.mode) & ~hidden
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
        if _is_of_its_version(wish.by) or wish.hidden:
            return ()
        if wish.mode == "set" and isinstance(wish.by, _BY_THEMSELVES):
            return (step,)
        before = self._selections.steps(card, wish.base) if wish.base else ()
        is_known = before or not wish.base
        return (*before, step) if is_known and len(before) < _MOST_STEPS else ()

    def _found(
        self, card: VersionCard, cloud: SplatCloud, base: np.ndarray, by: Selector, hidden: np.ndarray
    ) -> np.ndarray:
        match by:
            case Stored():
                return self._selections.read(card, by.selection)
            case Named():
                return self._names.selected(card, by.name)
            case Labelled():
                return self._labelled(card, by)
            case InRange():
                return by_value.in_range(splat_values(self._names, card, cloud, by.attribute), by.low, by.high)
            case _:
                return find_splats(cloud, base, by, hidden, device=self._device)

    def _labelled(self, card: VersionCard, by: Labelled) -> np.ndarray:
        sums = label_sums_of(self._names, card)
        found = belongs(sums, by.label, by.bias)
        return found & (confidences(sums) >= by.confidence) if by.confidence else found


def _is_of_its_version(by: Selector) -> bool:
    return isinstance(by, _IN_THEIR_VERSION) or (isinstance(by, InRange) and by.attribute in _MEASURED)


def find_splats(
    cloud: SplatCloud,
    base: np.ndarray,
    by: Selector,
    hidden: np.ndarray | None = None,
    *,
    device: str = "cpu",
) -> np.ndarray:
    """bool [N].

    base: what is selected already, bool [N]. hidden: what is not drawn, so that it hides nothing else, bool [N].
    Raises UserError for what cannot be found in these splats alone.
    """
    match by:
        case InOutline() | UnderBrush():
            return _on_screen(cloud, by, hidden, device)
        case InBox():
            return by_value.in_box(cloud.means, _with_inside(by.asset_from_box))
        case InSphere():
            return by_value.in_sphere(cloud.means, _with_inside(by.asset_from_sphere))
        case InMesh():
            return enclosed_by(TriangleMesh(by.vertices, by.faces), cloud.means) != by.outside
        case OfColor():
            return by_value.of_color(cloud, by.rgb, by.tolerance)
        case InRange():
            return by_value.in_range(by_value.values_of(cloud, by.attribute), by.low, by.high)
        case Everything():
            return np.ones(len(cloud), bool)
        case Inverted():
            return ~base
        case Grown():
            return neighbourhood.grown(base, neighbourhood.neighbours_of(cloud.means), by.steps)
        case Connected():
            return _connected(cloud, base, by)
        case Floaters():
            return neighbourhood.floating(
                cloud, neighbourhood.neighbours_of(cloud.means), reach=by.distance, most=by.most
            )
        case Contributing():
            camera, world_from_object = camera_of(by.camera), matrix_of_wire(by.world_from_object)
            look = Look(camera, world_from_object, by.camera.near, by.camera.far, hidden)
            return contributions(cloud, look, device) >= max(by.at_least, LEAST_SHOWN)
        case Stored() | Named() | Labelled():
            raise UserError("unsupported", "A stored selection is known in its own version only.")
        case _:
            assert_never(by)


def _on_screen(cloud: SplatCloud, by: InOutline | UnderBrush, hidden: np.ndarray | None, device: str) -> np.ndarray:
    camera, world_from_object = camera_of(by.camera), matrix_of_wire(by.world_from_object)
    view = on_screen.seen(cloud.means, camera, world_from_object, near=by.camera.near, far=by.camera.far)
    match by:
        case InOutline():
            found = on_screen.in_outline(view, by.points)
        case UnderBrush():
            found = on_screen.under_brush(view, by.path, by.radius_px)
    if by.surface_only and found.any():
        look = Look(camera, world_from_object, by.camera.near, by.camera.far, hidden)
        found[found] = _on_surface(cloud, look, found, view.of(found), device)
    return found


def _on_surface(cloud: SplatCloud, look: Look, among: np.ndarray, view: on_screen.Seen, device: str) -> np.ndarray:
    """bool [M]: those of M splats that nothing hides; only the part of the picture where these are is drawn.

    among: bool [N], which M of the cloud. view: of these alone.
    """
    camera, places = look.camera, view.places
    last = camera.width - 1, camera.height - 1
    (left, top), (right, bottom) = (
        np.floor([pick(places[:, axis]) for axis in (0, 1)]).clip(0, last).astype(int).tolist()
        for pick in (np.min, np.max)
    )
    part = replace(camera, cx=camera.cx - left, cy=camera.cy - top, width=right - left + 1, height=bottom - top + 1)
    depth, alpha = drawn_depth(cloud, replace(look, camera=part), device)
    of_part = replace(view, places=places - np.array((left, top), np.float32))
    x, y, z = cloud.log_scales[among].T  # numpy's own maximum along short rows takes ten times as long
    longest = np.maximum(np.maximum(x, y), z)
    stretch = np.linalg.norm(look.world_from_object[:3, :3], 2)  # of what is stretched most
    return on_screen.on_surface(of_part, stretch * np.exp(longest), depth, alpha)


def _connected(cloud: SplatCloud, base: np.ndarray, by: Connected) -> np.ndarray:
    alike = None
    if by.color_tolerance is not None and base.any():
        red, green, blue = (float(value) for value in by_value.base_colors(cloud)[base].mean(axis=0))
        alike = by_value.of_color(cloud, (red, green, blue), by.color_tolerance) | base
    return neighbourhood.connected(
        cloud, base, neighbourhood.neighbours_of(cloud.means), reach=by.distance, alike=alike
    )


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


def _with_inside(numbers: Matrix) -> np.ndarray:
    """Raises UserError for a volume that is flat."""
    matrix = matrix_of_wire(numbers)
    if not abs(np.linalg.det(matrix[:3, :3])) > 0:
        raise UserError("bad_input", "The region is flat, so there is nothing inside it.", "Give it a volume.")
    return matrix


def _bounds(means: np.ndarray) -> Bounds | None:
    if not len(means):
        return None
    return tuple(float(value) for value in (*means.min(0), *means.max(0)))  # type: ignore[return-value]  6 of them
