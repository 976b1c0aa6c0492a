"""The terms a loss is made of; a method adds up those it wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backend.rigging.face_shapes import adjacent_faces, normal_consistency
from backend.splats.similarity import l1_ssim_loss
from backend.training.representation import ActiveSplats
from backend.training.surface_picture import SurfacePicture, draw_surface
from backend.training.views import Picture


@dataclass(frozen=True)
class Comparison:
    """What one step drew, beside what it should have drawn."""

    image: Tensor  # [H, W, 3]
    alpha: Tensor  # [H, W]
    target: Tensor  # [H, W, 3] on the same background
    weight: Tensor | None  # [H, W] 0..1; None = every pixel counts
    splats: ActiveSplats
    picture: Picture  # the photo, and the camera that both were seen by
    visible: Tensor  # bool [N] which splats the camera saw
    step: int
    near: float  # splats whose centre is nearer are not drawn
    generator: torch.Generator  # for what a part draws by chance
    neighbours: tuple[Picture, ...] = ()  # photos from nearby that look the same way

    @cached_property
    def surface(self) -> SurfacePicture:
        """Drawn when the first part asks for it."""
        return draw_surface(self.splats, self.picture, near=self.near)

    @property
    def camera_centre(self) -> Tensor:
        """[3] in the frame of training."""
        return -self.picture.viewmat[0, :3, 3] @ self.picture.viewmat[0, :3, :3]


LossPart = Callable[[Comparison], Tensor]  # -> scalar


def photometric(ssim_weight: float) -> LossPart:
    """(1 - w) L1 + w (1 - SSIM), as in 3DGS."""

    def loss(seen: Comparison) -> Tensor:
        return l1_ssim_loss(seen.image, seen.target, ssim_weight=ssim_weight, weight=seen.weight)

    return loss


def mean_opacity(weight: float) -> LossPart:
    """Lets splats fade that the photos do not ask for (3DGS-MCMC)."""
    return lambda seen: weight * seen.splats.opacities.mean()


def mean_scale(weight: float) -> LossPart:
    """Lets splats shrink that the photos do not ask for, in camera extents (3DGS-MCMC)."""

    def loss(seen: Comparison) -> Tensor:
        assert seen.splats.scales is not None
        return weight * seen.splats.scales.mean()

    return loss


def mesh_normals(weight: float, faces: Tensor) -> LossPart:
    """Keeps the normals of adjacent faces alike while vertices are learned, as in SuGaR. faces: [F, 3] int64."""
    pairs = adjacent_faces(faces)

    def loss(seen: Comparison) -> Tensor:
        assert seen.splats.vertices is not None
        return weight * normal_consistency(seen.splats.vertices[faces], pairs)

    return loss
