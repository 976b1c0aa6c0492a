"""Patches of two photos of a painted plane: they agree where the plane is, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from backend.training.photo_consistency import disagreement
from backend.training.surface_picture import SurfacePicture, pixel_rays
from backend.training.views import Picture

NORMAL = torch.nn.functional.normalize(torch.tensor([0.4, -0.2, -1.0]), dim=0)
DISTANCE = torch.dot(NORMAL, torch.tensor([0.0, 0.0, 4.0]))  # of the plane from the first camera's centre
MIDDLES = torch.cartesian_prod(torch.arange(16, 48, 4), torch.arange(16, 48, 4))


def seen_from(x: float, *, farther: float = 0.0) -> tuple[Picture, SurfacePicture]:
    """The photo taken at x, looking along z, and a surface that lies behind the plane by `farther`."""
    viewmat = torch.eye(4)
    viewmat[0, 3] = -x
    intrinsics = torch.tensor([[60.0, 0, 32], [0, 60.0, 32], [0, 0, 1]])
    blank = Picture(torch.zeros(64, 64, 3, dtype=torch.uint8), None, None, viewmat[None], intrinsics[None])
    rays = pixel_rays(blank)
    towards = rays @ NORMAL
    distance = DISTANCE - NORMAL[0] * x
    places = rays * (distance / towards)[..., None] + torch.tensor([x, 0.0, 0.0])
    gray = 0.5 + 0.2 * torch.sin(9 * places[..., 0]) + 0.2 * torch.sin(7 * places[..., 1] + 2 * places[..., 0])
    photo = replace(blank, pixels=(255 * gray[..., None].expand(-1, -1, 3)).round().to(torch.uint8))
    known = torch.ones(64, 64, dtype=torch.bool)
    depth = (distance - farther) / towards
    return photo, SurfacePicture(NORMAL.expand(64, 64, 3), depth, known, known.float(), rays)


def compared(farther: float, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The disagreement of a surface too far away by so much, and its depth, which takes gradients."""
    (photo, here), (other, there) = (seen_from(x, farther=farther) for x in (0.0, 0.6))
    depth = here.depth.clone().requires_grad_()
    here = replace(here, depth=depth, known=here.known if known is None else known)
    return disagreement(here, photo, there, other, MIDDLES), depth


def test_photos_agree_where_the_plane_is() -> None:
    true, _ = compared(0.0)
    before, behind = compared(-0.1)[0], compared(0.1)[0]
    assert true < 0.01 and min(before, behind) > 3 * true


@pytest.mark.parametrize("farther", [-0.1, 0.1])
def test_learning_moves_the_surface_to_the_plane(farther: float) -> None:
    error, depth = compared(farther)
    (slope,) = torch.autograd.grad(error, depth)
    assert torch.sign(slope.sum()) == torch.sign(torch.tensor(farther))


def test_patches_across_the_rim_of_a_surface_do_not_count() -> None:
    known = torch.ones(64, 64, dtype=torch.bool)
    known[:, ::4] = False
    error, _ = compared(0.1, known)
    assert error == 0
