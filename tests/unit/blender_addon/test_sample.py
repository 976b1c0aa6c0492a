"""A few splats that stand for all."""

from __future__ import annotations

import numpy as np
import pytest

from backend.store.payload import cloud_to_arrays
from blender_addon.core import sample
from shared_protocol.messages import Splats
from tests.made_splats import sphere, with_shine


def test_it_says_what_is_typical_of_the_splats() -> None:
    found = sample.of("v1", Splats(**cloud_to_arrays(with_shine(sphere(count=100), 2))))
    width = 1.1 * np.sqrt(4 * np.pi / 100) / 2
    assert found.sh_degree == 2 and found.opacities == pytest.approx((0.982, 0.982, 0.982), abs=1e-3)
    assert found.sizes[1] == pytest.approx(width * 0.08 ** (1 / 3), rel=1e-3)
    none = sphere(count=100).select(np.zeros(0, np.int64))
    assert sample.of("v1", Splats(**cloud_to_arrays(none))).sizes == (0, 0, 0)


def test_only_points_within_the_box_count() -> None:
    found = sample.of("v1", Splats(**cloud_to_arrays(sphere(count=100))))
    upper = sample.points_within(found, (-2, -2, 0, 2, 2, 2))
    assert len(upper) == 50 and upper[:, 2].min() >= 0
    assert len(sample.points_within(found, None)) == len(sample.points_within(None, (0, 0, 0, 1, 1, 1))) == 0
