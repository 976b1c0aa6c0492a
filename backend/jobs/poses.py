"""The poses of bound meshes that clients told of, as many as fit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from backend.rigging.bound import BoundRepresentation, PosedRepresentation
from backend.rigging.quality import BindingQuality
from shared_protocol.errors import UserError

MOST_POSES = 64
_MOST_BYTES = 2**30  # of splats in their poses; the vertices alone are small


@dataclass
class Pose:
    """A version's mesh, moved."""

    asset: str
    version: str
    vertices: np.ndarray  # [V, 3]
    splats: PosedRepresentation | None = None  # made when it is drawn for the first time
    quality: BindingQuality | None = None  # the same in the colours of their binding

    def of(self, bound: BoundRepresentation) -> PosedRepresentation:
        """The splats in this pose. Raises UserError when the vertices are those of another mesh."""
        if self.splats is None:
            self.splats = bound.posed(self.vertices)
        return self.splats

    def quality_of(self, bound: BoundRepresentation) -> BindingQuality:
        """As `of`, in the colours of the binding."""
        if self.quality is None:
            self.quality = BindingQuality(self.of(bound))
        return self.quality

    @property
    def nbytes(self) -> int:
        """Of the splats that were made."""
        return sum(made.nbytes for made in (self.splats, self.quality) if made is not None)


class Poses:
    """By the names that clients gave them; calls come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poses: OrderedDict[str, Pose] = OrderedDict()

    def put(self, name: str, pose: Pose) -> None:
        with self._lock:
            self._poses[name] = pose
            self._poses.move_to_end(name)
            while len(self._poses) > MOST_POSES:
                self._poses.popitem(last=False)

    def find(self, name: str) -> Pose:
        """Raises UserError when it was never told of, or so long ago that it was forgotten."""
        with self._lock:
            if name not in self._poses:
                raise UserError("not_found", f"There is no pose '{name}' here.", "Say where its mesh is now.")
            self._poses.move_to_end(name)
            self._make_room()
            return self._poses[name]

    def forget(self, asset: str) -> None:
        """The asset was removed."""
        with self._lock:
            for name in [name for name, pose in self._poses.items() if pose.asset == asset]:
                del self._poses[name]

    def _make_room(self) -> None:
        """Splats of poses that were not drawn lately are made again when they are."""
        room = _MOST_BYTES
        for pose in reversed(self._poses.values()):
            room -= pose.nbytes
            if room < 0:
                pose.splats = pose.quality = None
