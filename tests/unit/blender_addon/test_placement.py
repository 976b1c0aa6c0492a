from __future__ import annotations

import numpy as np
import pytest

from blender_addon.core import bounds
from blender_addon.core.placement import upright


@pytest.mark.parametrize(
    "up", [(0, 0, 1), (0, 0, -1), (0, -1, 0), (1, 0, 0), (0.3, -0.8, 0.2), (1e-9, 0, -2), (0.01, 0, -5)]
)
def test_up_becomes_z_by_a_rotation(up: tuple[float, float, float]) -> None:
    turn = upright(up)
    np.testing.assert_allclose(turn @ np.array(up) / np.linalg.norm(up), [0, 0, 1], atol=1e-8)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-8)
    assert np.linalg.det(turn) == pytest.approx(1)


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 0, 3), (0, 0, 0), (float("nan"), 0, 1)])
def test_what_stands_upright_or_is_unknown_stays_exactly_as_it_is(up: tuple[float, float, float]) -> None:
    assert (upright(up) == np.eye(3)).all()


def test_the_turn_is_the_shortest_one() -> None:
    turn = upright((1.0, 0.0, 1.0))
    np.testing.assert_allclose(turn @ [0, 1, 0], [0, 1, 0], atol=1e-12)  # the axis of the turn


def test_a_box_has_the_corners_of_its_bounds_and_twelve_edges_along_the_axes() -> None:
    corners = bounds.corners((-1, 0, 2, 3, 1, 7))
    assert (corners.min(0) == [-1, 0, 2]).all() and (corners.max(0) == [3, 1, 7]).all()
    ends = corners[bounds.EDGES]  # [12, 2, 3]
    assert len({tuple(edge) for edge in bounds.EDGES.tolist()}) == 12
    assert (np.count_nonzero(ends[:, 0] != ends[:, 1], axis=1) == 1).all()


def test_a_flat_or_unknown_box_can_still_be_clicked() -> None:
    flat = bounds.corners((0, 0, 5, 10, 10, 5))
    assert np.ptp(flat, axis=0) == pytest.approx([10, 10, 0.01], rel=1e-4)
    assert np.ptp(bounds.corners((1, 1, 1, 1, 1, 1)), axis=0) == pytest.approx([1, 1, 1])
    assert np.ptp(bounds.corners(None), axis=0) == pytest.approx([2, 2, 2])
