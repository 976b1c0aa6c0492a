from __future__ import annotations

import numpy as np
import pytest

from benchmarks.held_out_strip import CAPTION_HEIGHT, GAP, Pair, spread, strip


@pytest.mark.parametrize(
    ("total", "count", "chosen"),
    [(3, 5, [0, 1, 2]), (10, 3, [0, 4, 9]), (7, 7, [0, 1, 2, 3, 4, 5, 6]), (4, 1, [0]), (0, 5, [])],
)
def test_views_are_taken_evenly(total: int, count: int, chosen: list[int]) -> None:
    assert spread(list(range(total)), count) == chosen  # type: ignore[arg-type]


def test_each_photo_stands_above_its_picture() -> None:
    red, blue = np.full((6, 4, 3), (255, 0, 0), np.uint8), np.full((6, 4, 3), (0, 0, 255), np.uint8)
    drawn = np.asarray(strip([Pair("images/a.jpg", red, blue, 30.0), Pair("images/b.jpg", blue, red, 20.0)]))
    assert drawn.shape == (CAPTION_HEIGHT + 6 + GAP + 6, 4 + GAP + 4, 3)
    photos, pictures = drawn[CAPTION_HEIGHT : CAPTION_HEIGHT + 6], drawn[CAPTION_HEIGHT + 6 + GAP :]
    assert np.array_equal(photos[:, :4], red) and np.array_equal(photos[:, 4 + GAP :], blue)
    assert np.array_equal(pictures[:, :4], blue) and np.array_equal(pictures[:, 4 + GAP :], red)
