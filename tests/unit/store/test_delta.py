"""What an edit changed is all that is stored of it, and brings back the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from backend.splats.change import ColorChange, SplatChange
from backend.splats.cloud import SplatCloud
from backend.splats.io.content import SplatContent, with_sh_degree
from backend.store.delta import SplatDelta
from backend.store.payload import CLOUD_FIELDS

MakeCloud = Callable[..., SplatCloud]


def same(one: SplatCloud, two: SplatCloud) -> bool:
    return all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in CLOUD_FIELDS)


def stored(delta: SplatDelta) -> SplatDelta:
    return SplatDelta.from_arrays(delta.to_arrays())


def test_a_deletion_is_one_bit_a_splat(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(count=1000)
    keep = np.random.default_rng(1).random(1000) > 0.3
    delta = SplatDelta.between(cloud, cloud.select(keep), keep)
    assert delta.nbytes < 1000 / 8 + 16
    assert same(stored(delta).apply(cloud), cloud.select(keep))


def test_changed_values_are_stored_for_the_splats_that_changed(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    means, logits = cloud.means.copy(), cloud.opacity_logits.copy()
    means[[3, 17, 99]] += 1
    logits[50] = np.nan
    after = replace(cloud, means=means, opacity_logits=logits)
    delta = stored(SplatDelta.between(cloud, after))
    assert {name: rows.tolist() for name, rows in delta.rows.items()} == {"means": [3, 17, 99], "opacity_logits": [50]}
    assert same(delta.apply(cloud), after)
    # NaN is no change where it was before, and the sign of zero is one.
    assert SplatDelta.between(after, after).rows == {}
    zeros = replace(cloud, opacity_logits=np.zeros(200, np.float32))
    minus = replace(cloud, opacity_logits=-np.zeros(200, np.float32))
    assert same(stored(SplatDelta.between(zeros, minus)).apply(zeros), minus)


def test_a_moved_cloud_needs_no_list_of_rows(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    moved = replace(cloud, means=cloud.means + np.float32(2))
    delta = SplatDelta.between(cloud, moved)
    assert delta.nbytes == cloud.means.nbytes + 8
    assert same(stored(delta).apply(cloud), moved)


def test_deleting_changing_and_adding_at_once(make_cloud: MakeCloud) -> None:
    cloud, more = make_cloud(), make_cloud(seed=5, count=7)
    keep = np.arange(200) % 3 > 0
    kept = cloud.select(keep)
    quats = kept.quats.copy()
    quats[5] = 9
    fields = {name: np.concatenate([getattr(kept, name), getattr(more, name)]) for name in CLOUD_FIELDS}
    fields["quats"][5] = 9
    after = SplatCloud(**fields)
    before = [getattr(cloud, name).copy() for name in CLOUD_FIELDS]
    assert same(stored(SplatDelta.between(cloud, after, keep)).apply(cloud), after)
    assert all((getattr(cloud, n) == b).all() for n, b in zip(CLOUD_FIELDS, before, strict=True))


@pytest.mark.parametrize("count", [0, 1, 7, 9])
def test_any_number_of_splats_may_go_or_stay(make_cloud: MakeCloud, count: int) -> None:
    cloud = make_cloud(count=9)
    keep = np.arange(9) >= 9 - count
    assert same(stored(SplatDelta.between(cloud, cloud.select(keep), keep)).apply(cloud), cloud.select(keep))
    grown = SplatDelta.between(cloud.select(keep), cloud) if count == 0 else None
    assert grown is None or same(stored(grown).apply(cloud.select(keep)), cloud)


def test_a_delta_is_refused_by_another_cloud(make_cloud: MakeCloud) -> None:
    delta = SplatDelta.between(make_cloud(), make_cloud(seed=1))
    with pytest.raises(ValueError, match="200 splats"):
        delta.apply(make_cloud(count=199))
    with pytest.raises(ValueError, match="come first"):
        SplatDelta.between(make_cloud(), make_cloud(count=150), np.ones(200, bool))
    arrays = SplatDelta.between(make_cloud(), make_cloud()).to_arrays()
    with pytest.raises(ValueError, match="not there"):
        SplatDelta.from_arrays({**arrays, "copies": np.array([200])})
    with pytest.raises(ValueError, match="one bit"):
        SplatDelta.from_arrays({**arrays, "change.chosen": np.zeros(24, np.uint8)})


def test_a_change_of_everything_is_stored_as_what_was_done(make_cloud: MakeCloud) -> None:
    cloud, chosen = make_cloud(), np.arange(200) % 3 == 0
    matrix = np.diag([2.0, 1.0, -1.0, 1.0])
    color = ColorChange(np.c_[np.eye(3) * 0.9, np.full(3, 0.1)], 0.8)
    for change in (
        SplatChange(chosen, matrix, color, (0.5, 0.1), (0.5, 0.0, np.inf)),
        SplatChange(matrix=matrix),
        SplatChange(chosen, opacity=(1.0, -0.2)),
        SplatChange(chosen, sh_degree=0),
    ):
        after = change.apply(cloud)
        assert not same(after, cloud)
        delta = SplatDelta.between(cloud, after, change=change)
        assert delta.nbytes < 400 and not delta.rows
        assert same(stored(delta).apply(cloud), after)
    # What the change does not explain is stored as values.
    more = replace(after, means=after.means + np.float32(1))
    delta = stored(SplatDelta.between(cloud, more, change=change))
    assert set(delta.rows) == {"means"} and same(delta.apply(cloud), more)


def test_copies_are_stored_as_which_they_are(make_cloud: MakeCloud) -> None:
    cloud, keep, copies = make_cloud(), np.arange(200) % 2 == 0, np.array([4, 4, 198])
    rows = np.concatenate([np.flatnonzero(keep), copies])
    change = SplatChange(np.arange(103) >= 100, matrix=np.diag([1.0, 1, -1, 1]))
    after = change.apply(cloud.select(rows))
    delta = SplatDelta.between(cloud, after, keep, copies, change)
    assert delta.nbytes < 250 and not delta.rows and delta.added is None
    assert same(stored(delta).apply(cloud), after)


def test_another_sh_degree_is_one_number(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(degree=2)
    for degree in (0, 1, 3):
        after = with_sh_degree(SplatContent(cloud), degree).cloud
        delta = SplatDelta.between(cloud, after)
        assert delta.nbytes < 50 and same(stored(delta).apply(cloud), after)


def test_rows_that_are_not_there_are_refused(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    means = cloud.means.copy()
    means[[1, 2]] = 0
    arrays = SplatDelta.between(cloud, replace(cloud, means=means)).to_arrays()
    with pytest.raises(ValueError, match="not there"):
        SplatDelta.from_arrays({**arrays, "rows.means": np.array([1, 200])})
    with pytest.raises(ValueError, match="not there"):
        SplatDelta.from_arrays({**arrays, "rows.means": np.array([1])})
