from __future__ import annotations

import numpy as np

from blender_addon.core import curve_picture
from blender_addon.core.curve import Point

LINE = np.array([0.36, 0.65, 0.98])


def heights(picture: np.ndarray) -> np.ndarray:
    """The row of the line in each column, from below; -1 where there is none."""
    on_line = picture[..., 3] > 0.9
    rows = np.where(on_line, np.arange(len(picture))[:, None], -1)
    return rows.max(axis=0)


def test_a_figure_that_is_repeated_until_the_next_counts_once() -> None:
    points = [Point(1), Point(2, psnr=20.0), Point(3, psnr=20.0), Point(4, psnr=22.0), Point(5)]
    assert curve_picture.psnr_over_steps(points) == [(2, 20.0), (4, 22.0)]


def test_the_line_goes_from_the_lowest_to_the_highest_figure_and_ends_where_the_job_is() -> None:
    picture = curve_picture.draw([(0, 20.0), (50, 30.0)], steps=100, width=200, height=50)
    assert picture.shape == (50, 200, 4) and picture.dtype == np.float32
    line = heights(picture)
    assert line[2] <= 8 and line[99] >= 43
    assert (np.diff(line[5:95]) >= 0).all()
    assert (line[106:] == -1).all()


def test_colours_are_premultiplied_and_nothing_is_brighter_than_it_may_be() -> None:
    picture = curve_picture.draw([(0, 20.0), (50, 30.0), (100, 25.0)], steps=100, width=64, height=64)
    assert (picture >= 0).all() and (picture <= 1).all()
    assert (picture[..., :3] <= picture[..., 3:] + 1e-6).all()
    assert np.allclose(picture[picture[..., 3] > 0.999][:, :3], LINE, atol=0.01)


def test_noise_of_a_job_that_stands_still_does_not_look_like_progress() -> None:
    line = heights(curve_picture.draw([(0, 30.0), (50, 30.1), (100, 30.0)], steps=100, width=64, height=64))
    assert np.ptp(line[4:-4]) < 8


def test_without_figures_there_is_an_empty_picture_and_with_one_a_dot() -> None:
    assert (heights(curve_picture.draw([], steps=100, width=64, height=32)) == -1).all()
    dot = heights(curve_picture.draw([(10, 25.0)], steps=100, width=64, height=32))
    assert dot[6] >= 0 and (dot[20:] == -1).all()
