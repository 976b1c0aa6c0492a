"""How often values occur, as a picture."""

from __future__ import annotations

import numpy as np

from blender_addon.core import histogram_picture

ORANGE, GREY = 0.98, 0.5  # red of bars in the range, and of the others


def test_bars_are_as_high_as_the_root_of_their_count_and_bright_in_the_range() -> None:
    picture = histogram_picture.draw((0, 4, 16, 1), (0.0, 4.0), (2.1, 2.9), 40, 20)
    assert picture.shape == (20, 40, 4) and picture.dtype == np.float32
    heights = (picture[..., 3] == 1).sum(axis=0)
    assert heights[:10].max() == 0 and set(heights[10:20]) == {10} and set(heights[20:30]) == {20}
    assert set(heights[30:]) == {5}
    assert np.isclose(picture[0, 10:20, 0], GREY).all() and np.isclose(picture[0, 30:, 0], GREY).all()
    assert np.isclose(picture[0, 22:28, 0], ORANGE).all()
    assert picture[19, 0].max() < 0.1, "nothing above a bar"


def test_one_value_in_all_splats_is_one_full_bar() -> None:
    picture = histogram_picture.draw((7,), (3.0, 3.0), (3.0, 3.0), 8, 4)
    assert (picture[..., 3] == 1).all() and np.isclose(picture[..., 0], ORANGE).all()


def test_few_are_seen_beside_many() -> None:
    picture = histogram_picture.draw((1, 1_000_000), (0.0, 1.0), (0.0, 1.0), 10, 50)
    assert picture[0, 2, 3] == 1


def test_nothing_is_an_empty_picture() -> None:
    assert histogram_picture.draw((), (0.0, 0.0), (0.0, 1.0), 8, 4).max() < 0.1
