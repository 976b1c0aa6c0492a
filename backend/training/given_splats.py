"""Splats that a training begins with instead of points: a finished cloud, of which only a part may be learned."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from backend.rigging.binding import Binding
from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.io.content import LARGEST_LOGIT
from backend.splats.io.joined import joined
from backend.training.closed_space import ClosedSpace
from backend.training.frame import SceneFrame
from backend.training.representation import ActiveSplats, Optimizers, Parameters, Representation
from shared_protocol.errors import UserError

_LARGEST_LOGIT = LARGEST_LOGIT / 2  # a fully opaque splat would have no gradient left to become anything else
_ALIKE = 1e-5  # of a splat's distance from the origin, and of turns and logarithms of sizes
ORIGINS = "origins"  # the parameter that is not learned: of each splat, the number of the given one it comes from


@dataclass(frozen=True)
class GivenSplats:
    """What a training goes on from, in the capture's frame.

    edits: the splats as they were learned and as they were edited then, once for each time that this was done before a
    training: what was edited away does not grow back, and what the photos show of it is not learned again
    (`edited_photos`).
    """

    cloud: SplatCloud
    learns: np.ndarray | None = None  # bool [N]: the others stay as they are to the last bit; None = all may change
    edits: tuple[tuple[SplatCloud, SplatCloud], ...] = ()

    def __post_init__(self) -> None:
        """Raises UserError when there is nothing to learn."""
        if not len(self.cloud) or (self.learns is not None and not self.learns.any()):
            raise UserError("bad_input", "There are no splats to train on.", "Select some, or everything.")

    def digest(self) -> bytes:
        """Tells one such start from another."""
        digest = hashlib.sha256()
        for cloud in (self.cloud, *itertools.chain(*self.edits)):
            for array in (cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh):
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(b"all" if self.learns is None else np.packbits(self.learns).tobytes())
        return digest.digest()

    def closed_space(self, frame: SceneFrame, device: torch.device) -> ClosedSpace | None:
        """Where splats were deleted, or moved away, and no new ones may come; None = nowhere."""
        gone = [before.means[~same_places(before, after)] for before, after in self.edits]
        if not any(map(len, gone)):
            return None
        return ClosedSpace.around(frame.points(np.concatenate(gone)), frame.points(self.cloud.means), device)

    def values(self, frame: SceneFrame, device: torch.device, *, sh_degree: int) -> dict[str, Tensor]:
        """Parameters of the splats that learn, on the device."""
        rows = np.arange(len(self.cloud)) if self.learns is None else np.flatnonzero(self.learns)
        values = parameters_of_cloud(self.cloud.select(rows), frame, device, sh_degree=sh_degree)
        return values | {ORIGINS: torch.tensor(rows, dtype=torch.int64, device=device)}

    def with_fixed(self, learned: Representation, frame: SceneFrame, device: torch.device) -> Representation:
        """The representation of those that learn, with the others beside it."""
        if self.learns is None or self.learns.all():
            return learned
        return WithFixedSplats(learned, self.cloud.select(~self.learns), frame, device)

    def restored(self, cloud: SplatCloud) -> SplatCloud:
        """What came out in the capture's frame, with the splats that were not learned to the last bit as they were."""
        if self.learns is None or self.learns.all():
            return cloud
        fixed = self.cloud.select(~self.learns)
        rest = cloud.select(np.arange(len(fixed), len(cloud)))
        return joined([fixed, rest])

    def fixed_rows(self) -> np.ndarray:
        """int64: the numbers of the splats that stay as they are; they are the first ones of the result."""
        return np.zeros(0, np.int64) if self.learns is None else np.flatnonzero(~self.learns)


class WithFixedSplats:
    """What is learned, drawn together with splats that are not; those that learn come first in the picture's info."""

    def __init__(self, learned: Representation, fixed: SplatCloud, frame: SceneFrame, device: torch.device) -> None:
        self.learned, self._fixed = learned, frame.cloud_to_training(fixed)
        self.parameters: Parameters = learned.parameters
        self.optimizers: Optimizers = learned.optimizers
        degree = int(np.sqrt(learned.parameters["shN"].shape[1] + 1)) - 1
        values = parameters_of_cloud(fixed, frame, device, sh_degree=degree)
        self._still = ActiveSplats(
            values["means"],
            values["quats"],
            values["scales"].exp(),
            values["opacities"].sigmoid(),
            (values["sh0"], values["shN"]),
        )

    def __len__(self) -> int:
        return len(self.learned)

    def splats(self, pose: int | None = None) -> ActiveSplats:
        moving, still = self.learned.splats(pose), self._still
        assert moving.quats is not None and still.quats is not None
        assert moving.scales is not None and still.scales is not None
        return ActiveSplats(
            torch.cat([moving.means, still.means]),
            torch.cat([moving.quats, still.quats]),
            torch.cat([moving.scales, still.scales]),
            torch.cat([moving.opacities, still.opacities]),
            (torch.cat([moving.colors[0], still.colors[0]]), torch.cat([moving.colors[1], still.colors[1]])),
        )

    def finite(self) -> Tensor:
        return self.learned.finite()

    def bake(self) -> SplatCloud:
        """First the splats that are not learned."""
        return joined([self._fixed, self.learned.bake()])

    def binding(self) -> Binding | None:
        return None


def parameters_of_cloud(
    cloud: SplatCloud, frame: SceneFrame, device: torch.device, *, sh_degree: int
) -> dict[str, Tensor]:
    """The values, by the names of `static_parameters`, that look like a cloud of the capture's frame.

    sh_degree: of the training; coefficients are cut off, or begin at zero.
    """
    cloud = frame.cloud_to_training(cloud)
    count = SH_COEFFICIENTS[sh_degree]
    sh = torch.zeros(len(cloud), count, 3, device=device)
    own = min(count, cloud.sh.shape[1])
    sh[:, :own] = torch.tensor(cloud.sh[:, :own], device=device)
    return {
        "means": torch.tensor(cloud.means, device=device),
        "scales": torch.tensor(cloud.log_scales, device=device),
        "quats": torch.nn.functional.normalize(torch.tensor(cloud.quats, device=device), dim=-1),
        "opacities": torch.tensor(cloud.opacity_logits, device=device).clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT),
        "sh0": sh[:, :1].contiguous(),
        "shN": sh[:, 1:].contiguous(),
    }


def same_places(one: SplatCloud, other: SplatCloud) -> np.ndarray:
    """bool [N]: which splats of the first cloud are in the other at the same place, with the same shape.

    Clouds that were carried into another frame, each by itself, differ in their last bits.
    """
    unit = max(float(np.median(np.abs(one.means))), 1e-30) if len(one) else 1.0
    ours, theirs = _numbers(one, unit), _numbers(other, unit)
    same = np.isin(_keys(ours), _keys(theirs))
    others = np.flatnonzero(~same)
    if len(others) and len(theirs):
        distances, _ = KDTree(theirs).query(ours[others], p=np.inf, distance_upper_bound=_ALIKE, workers=-1)
        same[others] = np.isfinite(distances)
    return same


def _numbers(cloud: SplatCloud, unit: float) -> np.ndarray:
    """[N, 10] float32: place, turn and size, whose differences mean equally much. unit: of places.

    Far places are less exact, in proportion: hence the inverse hyperbolic sine.
    """
    lengths = np.linalg.norm(cloud.quats, axis=1, keepdims=True)
    quats = cloud.quats / np.maximum(lengths, np.float32(1e-30))
    numbers = np.concatenate([np.arcsinh(cloud.means / np.float32(unit)), quats, cloud.log_scales], 1)
    return np.ascontiguousarray(np.nan_to_num(numbers), np.float32)


def _keys(numbers: np.ndarray) -> np.ndarray:
    """[N]: the bits of rows, as one value each that can be compared."""
    return numbers.view(np.dtype((np.void, numbers.shape[1] * numbers.itemsize)))[:, 0]
