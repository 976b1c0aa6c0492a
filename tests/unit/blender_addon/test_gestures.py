"""Boxes, lassos, polygons and brush strokes that are drawn over a view."""

from __future__ import annotations

import numpy as np

from blender_addon.core.gestures import LARGEST_RADIUS, SMALLEST_RADIUS, Gesture, in_picture, resized


def drawn(gesture: Gesture, *places: tuple[float, float]) -> Gesture:
    gesture = gesture.pressed(places[0])
    for place in places[1:]:
        gesture = gesture.moved(place)
    return gesture.released(places[-1])


def test_a_box_has_its_corners_all_the_way_round_whichever_way_it_was_drawn() -> None:
    for start, end in (((10, 20), (30, 60)), ((30, 60), (10, 20)), ((10, 60), (30, 20))):
        box = drawn(Gesture("box"), start, (99, 99), end)
        assert box.is_done and not box.is_empty
        assert box.outline == ((10, 20), (30, 20), (30, 60), (10, 60))


def test_a_lasso_leaves_out_places_that_are_hardly_apart() -> None:
    lasso = drawn(Gesture("lasso"), (0, 0), (1, 1), (50, 0), (50, 1), (50, 40))
    assert lasso.outline == ((0, 0), (50, 0), (50, 40))
    assert lasso.is_done and not lasso.is_empty


def test_a_click_or_a_straight_line_holds_nothing() -> None:
    assert drawn(Gesture("box"), (5, 5), (5, 5)).is_empty
    assert drawn(Gesture("box"), (5, 5), (5, 90)).is_empty
    assert drawn(Gesture("lasso"), (5, 5), (50, 5)).is_empty
    assert not drawn(Gesture("brush", radius=4), (5, 5), (5, 5)).is_empty


def test_a_polygon_grows_by_clicks_and_is_closed_at_its_first_corner() -> None:
    polygon = Gesture("polygon")
    for place in ((0, 0), (100, 0), (101, 80)):
        polygon = polygon.pressed(place).released(place)
    assert not polygon.is_done and polygon.outline == ((0, 0), (100, 0), (101, 80))
    assert polygon.without_last().outline == ((0, 0), (100, 0))
    assert not polygon.without_last().pressed((3, 3)).is_done  # two corners make no area
    closed = polygon.pressed((3, 3))
    assert closed.is_done and closed.outline == polygon.outline


def test_nothing_is_drawn_while_no_button_is_held() -> None:
    for shape in ("box", "lasso", "brush"):
        assert Gesture(shape).moved((40, 40)).outline == ()
        assert not Gesture(shape).released((40, 40)).is_done


def test_a_brush_grows_and_shrinks_by_whole_pixels_within_its_limits() -> None:
    radius = 1.0
    sizes = [radius := resized(radius, larger=True) for _ in range(60)]
    assert sizes == sorted(sizes) and sizes[0] == 2 and sizes[-1] == LARGEST_RADIUS
    sizes = [radius := resized(radius, larger=False) for _ in range(60)]
    assert sizes[-1] == SMALLEST_RADIUS and all(size == int(size) for size in sizes)


def test_places_of_a_view_are_pixels_from_above_in_its_picture() -> None:
    picture = in_picture(((0, 0), (10, 100)), 480)
    assert picture.dtype == np.float32
    assert picture.tolist() == [[0, 480], [10, 380]]
