"""What a splat file holds: the splats, the frame of its numbers, and whatever else it says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.io.frames import Frame, rotation_between
from backend.splats.moved import turned_cloud
from shared_protocol.errors import UserError

# Stand in for the infinities that fully opaque, fully transparent and perfectly flat splats are written with:
# sigmoid(20) is 1, sigmoid(-20) is 2e-9 and exp(-30) is 1e-13.
LARGEST_LOGIT = 20.0
SMALLEST_LOG_SCALE = -30.0


@dataclass(frozen=True)
class SplatContent:
    """N splats as a file holds them.

    frame: of the numbers, as the file says or its reader assumes.
    antialiased: whether the splats were trained to be drawn fainter where they are small; None = the file is silent.
    extra: further numbers of each splat by name, which formats with columns of their own keep.
    notes: a sentence each: what was left out, or assumed.
    is_finite: whether the reader knows that no number is NaN or infinite and every rotation has a length.
    """

    cloud: SplatCloud
    frame: Frame = "opencv"
    antialiased: bool | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)  # each [N]
    notes: tuple[str, ...] = ()
    is_finite: bool = False

    def __len__(self) -> int:
        return len(self.cloud)

    def select(self, keep: np.ndarray) -> SplatContent:
        """The splats chosen by a bool mask or an index array, in that order."""
        extra = {name: column[keep] for name, column in self.extra.items()}
        return replace(self, cloud=self.cloud.select(keep), extra=extra)

    def noting(self, *notes: str) -> SplatContent:
        return replace(self, notes=(*self.notes, *notes))


def turned(content: SplatContent, frame: Frame) -> SplatContent:
    """The same splats in another frame: positions, rotations and view-dependent colours turn together."""
    if frame == content.frame:
        return content
    return replace(content, cloud=turned_cloud(content.cloud, rotation_between(content.frame, frame)), frame=frame)


def with_sh_degree(content: SplatContent, degree: int) -> SplatContent:
    """The same splats with fewer coefficients, or with more of them that are zero."""
    cloud, count = content.cloud, SH_COEFFICIENTS[degree]
    have = cloud.sh.shape[1]
    if have == count:
        return content
    sh = cloud.sh[:, :count] if have > count else np.pad(cloud.sh, ((0, 0), (0, count - have), (0, 0)))
    return replace(content, cloud=replace(cloud, sh=np.ascontiguousarray(sh)))


def cleaned(content: SplatContent) -> SplatContent:
    """Leaves out splats that hold NaN or Inf, and says so.

    Infinite opacities and infinitely thin splats become finite ones, and rotations of length zero, which have no
    direction, upright. May change the arrays in place.
    """
    if content.is_finite:
        return content
    cloud = content.cloud
    notes: list[str] = []
    if not all_finite(cloud):
        cloud = replace(
            cloud,
            log_scales=np.where(np.isneginf(cloud.log_scales), np.float32(SMALLEST_LOG_SCALE), cloud.log_scales),
            opacity_logits=np.nan_to_num(cloud.opacity_logits, nan=np.nan, posinf=LARGEST_LOGIT, neginf=-LARGEST_LOGIT),
        )
        content = replace(content, cloud=cloud)
        keep = cloud.finite()
        if not keep.all():
            notes.append(f"Left out {np.count_nonzero(~keep):,} of {len(keep):,} splats that hold NaN or Inf.")
            content = content.select(keep)
    if not all_turned(content.cloud.quats):
        unturned = ~content.cloud.quats.any(axis=1)
        quats = content.cloud.quats.copy()
        quats[unturned] = (1.0, 0.0, 0.0, 0.0)
        content = replace(content, cloud=replace(content.cloud, quats=quats))
        notes.append(f"{np.count_nonzero(unturned):,} splats had a rotation of zero length and are left unrotated.")
    return content.noting(*notes)


def all_finite(cloud: SplatCloud) -> bool:
    """Whether no value is NaN or infinite. May say no of finite values beyond 1e15; much faster than asking each."""
    arrays = (cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh)
    return all(are_finite(array) for array in arrays)


def are_finite(values: np.ndarray) -> bool:
    """Whether no value is NaN or infinite. May say no of finite values beyond 1e15; much faster than asking each."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)))  # a sum of squares, which no broken value leaves finite


def all_turned(quats: np.ndarray) -> bool:
    """Whether each quaternion [N, 4] has a length. May say no of lengths below 1e-19."""
    return not len(quats) or bool(np.einsum("ni,ni->n", quats, quats).min() > 0)


def damaged(path: Path, reason: str, hint: str = "Copy or export it again.") -> UserError:
    """The error for a file that is not what its format says. reason: reads on after "is damaged: "."""
    return UserError("bad_input", f"'{path}' is damaged: {reason}.", hint)
