"""Growing, flood fill and floaters, against definitions in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from backend.selection.neighbourhood import (
    NEIGHBOURS,
    Neighbours,
    connected,
    find_neighbours,
    floating,
    grown,
    neighbours_of,
)
from backend.splats.cloud import SplatCloud

SIZE = 0.1


def row_of_splats(places: list[float]) -> SplatCloud:
    count = len(places)
    return SplatCloud(
        np.array([(x, 0, 0) for x in places], np.float32),
        np.tile(np.array((1, 0, 0, 0), np.float32), (count, 1)),
        np.full((count, 3), np.log(SIZE), np.float32),
        np.zeros(count, np.float32),
        np.zeros((count, 1, 3), np.float32),
    )


def chosen(count: int, *numbers: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[list(numbers)] = True
    return mask


def flood(cloud: SplatCloud, start: np.ndarray, reach: float = 0.0, alike: np.ndarray | None = None) -> list[int]:
    return np.flatnonzero(connected(cloud, start, find_neighbours(cloud.means), reach=reach, alike=alike)).tolist()


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


def test_a_flood_stops_at_gaps_and_goes_over_what_is_alike_only() -> None:
    cloud = row_of_splats([0, 0.2, 0.4, 0.6, 1.0, 1.2])
    start, alike = chosen(6, 0), chosen(6, 1, 3, 4, 5)
    assert flood(cloud, start) == [0, 1, 2, 3], "the next one is farther than three of their standard deviations"
    assert flood(cloud, start, 0.45) == [0, 1, 2, 3, 4, 5]
    assert flood(cloud, start, 0.1) == [0]
    assert flood(cloud, start, 0.25, alike) == [0, 1]
    assert flood(cloud, start, 0.45, alike) == [0, 1, 3, 4, 5], "what lies between can be stepped over"
    assert flood(cloud, chosen(6)) == []


def test_floaters_are_small_groups() -> None:
    cloud = row_of_splats([0, 0.1, 0.2, 0.3, 5, 5.1, 9])
    around = find_neighbours(cloud.means)
    assert np.flatnonzero(floating(cloud, around, most=2)).tolist() == [4, 5, 6]
    assert np.flatnonzero(floating(cloud, around, most=1)).tolist() == [6]
    assert np.flatnonzero(floating(cloud, around, reach=4, most=3)).tolist() == [4, 5, 6]
    assert not floating(cloud, around, reach=9, most=6).any()


def test_neighbours_are_found_once_and_it_is_said_how_far_that_is() -> None:
    means = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
    said: list[tuple[int, int]] = []
    first = neighbours_of(means, lambda done, total: said.append((done, total)))
    assert neighbours_of(means, lambda done, total: said.append((done, total))) is first
    assert said == [(300, 300)]
    assert neighbours_of(means.copy()) is not first


@pytest.mark.parametrize("count", [0, 1])
def test_splats_without_others_have_no_neighbours(count: int) -> None:
    around = find_neighbours(np.zeros((count, 3), np.float32))
    assert isinstance(around, Neighbours) and np.isinf(around.distances).all()
    assert grown(np.ones(count, bool), around, 2).all()
