"""What goes into an editing method and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backend.editing.box import Box
from backend.splats.cameras import Camera
from backend.splats.change import SplatChange
from backend.splats.cloud import SplatCloud
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


@dataclass(frozen=True)
class PlacedCloud:
    """Splats of another asset, and how they are carried into the frame of the one that is edited."""

    cloud: SplatCloud
    asset_from_other: np.ndarray  # [4, 4] affine


@dataclass(frozen=True)
class EditingInputs:
    """Everything an editing method reads; none of it is changed."""

    cloud: SplatCloud
    box: Box | None = None
    selected: np.ndarray | None = None  # bool [N]: what the edit is about; None = all splats
    hidden: np.ndarray | None = None  # bool [N]: what no edit touches; None = nothing is hidden
    mesh: TriangleMesh | None = None  # in the cloud's frame
    matrix: np.ndarray | None = None  # [4, 4] affine, of the cloud's frame
    points: np.ndarray | None = None  # [P, 3] that were picked, in the cloud's frame
    others: tuple[PlacedCloud, ...] = ()
    cameras: Callable[[], tuple[Camera, ...]] = tuple  # that photographed what the splats show; none = unknown
    up: tuple[float, float, float] = (0.0, -1.0, 0.0)  # of unit length, in the cloud's frame
    device: str = "cpu"  # where to draw
    antialiased: bool = False  # how the splats want to be drawn

    def chosen(self) -> np.ndarray:
        """bool [N]: what is selected, else what is in the box, else all. Raises UserError when that is nothing."""
        chosen = self.region()
        if chosen is None:
            chosen = np.ones(len(self.cloud), bool)
        if not chosen.any():
            raise UserError("bad_input", "No splats are selected.", "Select some, or everything.")
        return chosen

    def region(self) -> np.ndarray | None:
        """bool [N]: what is selected, else what is in the box, and not hidden; None = the edit is about all splats."""
        region = self.selected
        if region is None and self.box is not None:
            region = self.box.holds(self.cloud.means)
        if self.hidden is None:
            return region
        return ~self.hidden if region is None else region & ~self.hidden

    def spared(self) -> np.ndarray:
        """bool [N]: what an edit that says by itself which splats it is about leaves alone all the same."""
        spared = np.zeros(len(self.cloud), bool) if self.selected is None else ~self.selected
        return spared if self.hidden is None else spared | self.hidden

    def wanted_region(self) -> np.ndarray:
        """The same for edits that make no sense for all splats. Raises UserError when it is not said, or nothing."""
        if self.selected is None and self.box is None:
            raise UserError("bad_input", "No splats are selected.", "Select what the edit is about first.")
        return self.chosen()

    def wanted_box(self) -> Box:
        """Raises UserError when none was given."""
        if self.box is None:
            raise UserError("bad_input", "This edit needs a box.", "Choose a box object, or give --box.")
        return self.box

    def wanted_mesh(self) -> TriangleMesh:
        """Raises UserError when none was given."""
        if self.mesh is None or not len(self.mesh.faces):
            raise UserError("bad_input", "This edit needs a mesh with faces.", "Choose a mesh object, or give --mesh.")
        return self.mesh

    def wanted_points(self, count: int) -> np.ndarray:
        """[P, 3] float64, at least so many. Raises UserError when they are fewer, or not finite."""
        points = np.zeros((0, 3)) if self.points is None else self.points.astype(np.float64)
        if len(points) < count or not np.isfinite(points).all():
            message = f"This edit needs {count} points on the splats, and {len(points)} were picked."
            raise UserError("bad_input", message, "Pick them with the eyedropper, or give --points.")
        return points


@dataclass(frozen=True)
class EditingResult:
    """The splats that an edit leaves, and which of the old ones they are."""

    cloud: SplatCloud  # first the kept splats in their old order, then copies of old ones, then new ones
    keep: np.ndarray  # bool [N], of the splats that went in
    copies: np.ndarray | None = None  # int64 [C], of which old splats the copies are
    change: SplatChange | None = None  # what made the kept splats and the copies what they are, where that is all
    apart: np.ndarray | None = None  # bool [N], of the splats that went in: these become an asset of their own
    selected: np.ndarray | None = None  # bool, of `cloud`: what is selected from now on; None = what was
    moved: np.ndarray | None = None  # [4, 4]: the whole frame was moved, and what hangs on the splats with it

    @classmethod
    def changed(cls, inputs: EditingInputs, change: SplatChange) -> EditingResult:
        """All splats stay, and the change is done to those that it is about."""
        return cls(change.apply(inputs.cloud), np.ones(len(inputs.cloud), bool), change=change)

    @classmethod
    def kept(cls, inputs: EditingInputs, keep: np.ndarray, *, hint: str) -> EditingResult:
        """Only some splats stay, bool [N]. Raises UserError when that is none; hint: what to do then."""
        if not keep.any():
            raise UserError("bad_input", "No splat would be left.", hint)
        return cls(inputs.cloud.select(keep), keep)

    def sources(self) -> np.ndarray:
        """int64 [M]: which old splat each of `cloud` is or comes from; -1 = none."""
        old = np.concatenate([np.flatnonzero(self.keep), np.zeros(0, np.int64) if self.copies is None else self.copies])
        return np.concatenate([old, np.full(len(self.cloud) - len(old), -1)]).astype(np.int64)

    def carried(self, extra: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Further numbers of the old splats, [N] each, as those of the new ones; 0 for splats from elsewhere."""
        sources = self.sources()
        return {name: np.where(sources >= 0, column[sources], 0).astype(column.dtype) for name, column in extra.items()}
