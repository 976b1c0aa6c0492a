"""Splats in faces against what can be worked out by hand, on a right triangle with the legs 6 and 3."""

from __future__ import annotations

import math

import pytest
import torch

from backend.rigging.face_shapes import (
    GAMES_THICKNESS,
    SUGAR_LAYOUTS,
    adjacent_faces,
    games_barycentrics,
    games_shapes,
    normal_consistency,
    sugar_shapes,
    sugar_start_scales,
)

TRIANGLE = torch.tensor([[[0.0, 0, 0], [6, 0, 0], [0, 3, 0]]])  # its centroid is (2, 1, 0), its normal +z


def test_alphas_of_games_are_cut_at_zero_and_add_up_to_one() -> None:
    weights = games_barycentrics(torch.tensor([[1.0, 3.0, 4.0], [-5.0, 1.0, 1.0]]))
    assert weights[0].tolist() == pytest.approx([1 / 8, 3 / 8, 1 / 2])
    assert weights[1].tolist() == pytest.approx([0, 1 / 2, 1 / 2], abs=1e-7)


def test_a_splat_of_games_has_the_shape_of_its_face() -> None:
    axes, scales = games_shapes(TRIANGLE, torch.tensor([2.0]))
    along = torch.tensor([4.0, -1.0, 0.0])  # from the centroid to v1
    across = torch.tensor([1.0, 4.0, 0.0])
    assert torch.allclose(axes[0, :, 0], torch.tensor([0.0, 0.0, 1.0]))
    assert torch.allclose(axes[0, :, 1], along / math.sqrt(17))
    assert torch.allclose(axes[0, :, 2], across / math.sqrt(17))
    height = float(torch.tensor([-2.0, 2.0, 0.0]) @ across) / math.sqrt(17)  # of v2 - centroid
    assert scales[0].tolist() == pytest.approx([GAMES_THICKNESS, 2 * math.sqrt(17) / 2, 2 * height / 2])


@pytest.mark.parametrize(
    ("count", "first", "radius"),
    [
        (1, (1 / 3, 1 / 3, 1 / 3), 0.288675),
        (3, (1 / 2, 1 / 4, 1 / 4), 0.183013),
        (4, (1 / 3, 1 / 3, 1 / 3), 0.144338),
        (6, (2 / 3, 1 / 6, 1 / 6), 0.133975),
    ],
)
def test_splats_of_sugar_lie_evenly_in_their_face(count: int, first: tuple[float, float, float], radius: float) -> None:
    places, of_edge = SUGAR_LAYOUTS[count]
    assert len(set(places)) == count and places[0] == pytest.approx(first)
    assert all(sum(place) == pytest.approx(1) for place in places)
    assert [sum(column) / count for column in zip(*places, strict=True)] == pytest.approx([1 / 3] * 3)
    assert of_edge == pytest.approx(radius, abs=1e-6)
    assert sugar_start_scales(TRIANGLE, of_edge).exp()[0].tolist() == pytest.approx([3 * radius] * 2, rel=1e-5)


def test_a_splat_of_sugar_turns_within_its_face() -> None:
    """v0 - v1 points along -x, and the second axis along -y."""
    log_scales = torch.tensor([[0.5, 0.25]]).log()
    axes, scales = sugar_shapes(TRIANGLE, torch.tensor([[1.0, 0.0]]), log_scales, 1e-6)
    assert torch.allclose(axes[0], torch.tensor([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]))
    assert scales[0].tolist() == pytest.approx([1e-6, 0.5, 0.25])
    turned, _ = sugar_shapes(TRIANGLE, torch.tensor([[3.0, 4.0]]), log_scales, 1e-6)
    assert torch.allclose(turned[0, :, 1], torch.tensor([-0.6, -0.8, 0.0]))
    assert torch.allclose(turned[0, :, 2], torch.tensor([0.8, -0.6, 0.0]))
    assert torch.det(turned)[0].item() == pytest.approx(1)


def test_a_fold_costs_what_its_normals_differ() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 1]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 3, 1]])  # at right angles along the edge 0 - 1
    pairs = adjacent_faces(faces)
    assert pairs.tolist() == [[0, 1]]
    loss = normal_consistency(corners[faces], pairs)
    loss.backward()
    assert loss.item() == pytest.approx(1) and corners.grad is not None and corners.grad.abs().max() > 0.1
    lonely = normal_consistency(corners[faces[:1]], adjacent_faces(faces[:1]))
    assert lonely.item() == 0
