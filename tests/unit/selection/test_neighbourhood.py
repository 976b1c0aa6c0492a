"""Growing, flood fill and floaters, against definitions in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from backend.selection.by_value import base_colors
from backend.selection.neighbourhood import NEIGHBOURS, Neighbours, connected, find_neighbours, floating, grown
from backend.splats.cloud import SplatCloud

SIZE = 0.1


def row_of_splats(places: list[float], reds: list[float] | None = None) -> SplatCloud:
    count = len(places)
    sh = np.zeros((count, 1, 3), np.float32)
    sh[:, 0, 0] = (np.array(reds if reds is not None else [0.5] * count) - 0.5) / 0.28209479
    return SplatCloud(
        np.array([(x, 0, 0) for x in places], np.float32),
        np.tile(np.array((1, 0, 0, 0), np.float32), (count, 1)),
        np.full((count, 3), np.log(SIZE), np.float32),
        np.zeros(count, np.float32),
        sh,
    )


def chosen(count: int, *numbers: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[list(numbers)] = True
    return mask


def flood(cloud: SplatCloud, start: np.ndarray, reach: float, tolerance: float = 2.0) -> list[int]:
    around = find_neighbours(cloud.means)
    found = connected(cloud, start, around, reach=reach, colors=base_colors(cloud), tolerance=tolerance)
    return np.flatnonzero(found).tolist()


def test_neighbours_are_the_nearest_others_also_where_splats_share_a_place_or_are_nowhere() -> None:
    means = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
    means[7] = np.nan
    means[20:40] = means[20]
    found = find_neighbours(means, workers=1)
    for i in range(60):
        others = [j for j in range(60) if j not in (i, 7)]
        nearest = np.sort(np.linalg.norm(means[others] - means[i], axis=1))[:NEIGHBOURS]
        if i == 7:
            assert np.isinf(found.distances[7]).all()
            continue
        assert found.distances[i] == pytest.approx(nearest, abs=1e-5)
        assert i not in found.indices[i] and 7 not in found.indices[i]
        assert len(set(found.indices[i].tolist())) == NEIGHBOURS
        there = np.linalg.norm(means[found.indices[i]] - means[i], axis=1)
        assert there == pytest.approx(found.distances[i], abs=1e-5)


def test_growing_takes_neighbours_of_either_side_and_shrinking_leaves_out_the_rim() -> None:
    means = np.random.default_rng(2).uniform(size=(500, 3)).astype(np.float32)
    around = find_neighbours(means)
    near = np.zeros((500, 500), bool)
    near[np.arange(500)[:, None], around.indices] = True
    near |= near.T
    start = means[:, 0] > 0.6
    expected = start
    for steps in range(3):
        assert grown(start, around, steps).tolist() == expected.tolist()
        expected = expected | near[expected].any(axis=0)
    assert grown(start, around, -1).tolist() == (start & ~near[~start].any(axis=0)).tolist()
    assert not grown(np.zeros(500, bool), around, 3).any()
    assert grown(np.ones(500, bool), around, -3).all()


def test_a_flood_stops_at_gaps_and_at_other_colours() -> None:
    cloud = row_of_splats([0, 0.15, 0.3, 0.45, 0.8, 0.95], reds=[0.5, 0.52, 0.9, 0.5, 0.5, 0.5])
    start = chosen(6, 0)
    assert flood(cloud, start, 1.0) == [0, 1, 2, 3]
    assert flood(cloud, start, 1.0, tolerance=0.1) == [0, 1], "the red one is in between"
    assert flood(cloud, start, 2.0, tolerance=0.1) == [0, 1, 3, 4, 5], "it can be stepped over"
    assert flood(cloud, start, 0.5) == [0]
    assert flood(cloud, chosen(6), 1.0) == []


def test_floaters_are_small_groups() -> None:
    cloud = row_of_splats([0, 0.1, 0.2, 0.3, 5, 5.1, 9])
    around = find_neighbours(cloud.means)
    assert np.flatnonzero(floating(cloud, around, reach=1, smallest=3)).tolist() == [4, 5, 6]
    assert np.flatnonzero(floating(cloud, around, reach=1, smallest=2)).tolist() == [6]
    assert not floating(cloud, around, reach=1, smallest=1).any()
    assert not floating(cloud, around, reach=30, smallest=7).any()


@pytest.mark.parametrize("count", [0, 1])
def test_splats_without_others_have_no_neighbours(count: int) -> None:
    around = find_neighbours(np.zeros((count, 3), np.float32))
    assert isinstance(around, Neighbours) and np.isinf(around.distances).all()
    assert grown(np.ones(count, bool), around, 2).all()
