from __future__ import annotations

import math

import numpy as np
import pytest

from blender_addon.core import overlay
from blender_addon.core.overlay import Ask, Pace, View, Wish
from shared_protocol.things import SceneObject, ViewCamera

CHAIR = SceneObject(asset="chair")


def camera(turn: float = 0.0, x: float = 0.0, *, orthographic: bool = False, width: int = 640) -> ViewCamera:
    """At (x, 0, 0), looking along +z, turned about y by so many degrees."""
    pose = np.eye(4)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    pose[:3, :3] = [[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]
    pose[:3, 3] = -pose[:3, :3] @ [x, 0, 0]
    focal = 80.0 if orthographic else 500.0
    matrix = tuple(float(value) for value in pose.ravel())
    return ViewCamera(  # type: ignore[arg-type]  16 numbers
        camera_from_world=matrix, fx=focal, fy=focal, cx=310, cy=190, width=width, height=360, orthographic=orthographic
    )


def wish(turn: float = 0.0, *, revision: int = 0, hiders: int = 0, **changes: object) -> Wish:
    return Wish(camera(turn), (SceneObject(asset="chair", **changes),), revision, hiders)  # type: ignore[arg-type]


def drawn(view: View, now: float, seconds: float = 0.05, pace: Pace | None = None) -> tuple[View, Ask]:
    """The view asks, and is answered."""
    ask = view.next(now, pace or Pace())
    assert ask is not None
    return view.asking(ask).answered(seconds), ask


def test_a_moving_view_is_drawn_coarsely_and_a_resting_one_whole() -> None:
    view, ask = drawn(View().wants(wish(), 0.0), 0.0)
    assert ask.scale == 0.5 and ask.camera.width == 320
    assert view.next(0.1, Pace()) is None  # it may still move
    view, ask = drawn(view, 0.2)
    assert ask.scale == 1 and ask.camera == camera()
    assert view.next(9.0, Pace()) is None


def test_only_one_request_is_on_its_way_and_the_newest_wish_follows_it() -> None:
    view = View().wants(wish(), 0.0)
    first = view.next(0.0, Pace())
    assert first is not None
    view = view.asking(first)
    for turn in range(1, 5):
        view = view.wants(wish(turn), turn / 100)
        assert view.next(turn / 100, Pace()) is None
    view, second = drawn(view.answered(0.05), 0.05)
    assert second.wish == wish(4) and view.shown == second


def test_coarse_pictures_become_as_fine_as_their_time_allows() -> None:
    view, turn = View(), 0
    for turn in range(12):
        view = view.wants(wish(turn), turn)
        ask = view.next(turn, Pace())
        assert ask is not None
        view = view.asking(ask).answered(1.6 * ask.scale**2)  # a whole picture takes 1.6 s
    assert view.moving_scale == pytest.approx(math.sqrt(overlay.MOVING_PICTURE_S / 1.6))
    for turn in range(20, 30):
        view, _ = drawn(view.wants(wish(turn), turn), turn, seconds=0.001)
    assert view.moving_scale == 1
    for turn in range(30, 40):
        view, _ = drawn(view.wants(wish(turn), turn), turn, seconds=60)
    assert view.moving_scale == overlay.COARSEST


def test_one_quick_picture_at_most_doubles_the_next_ones_sides() -> None:
    view, _ = drawn(View(moving_scale=0.2).wants(wish(), 0), 0, seconds=1e-9)
    assert view.moving_scale == 0.4


def test_a_view_that_was_drawn_whole_while_it_moved_is_not_drawn_again() -> None:
    view, ask = drawn(View(moving_scale=1.0).wants(wish(), 0), 0)
    assert ask.scale == 1 and view.next(1.0, Pace()) is None


def test_pictures_of_a_training_model_leave_it_three_quarters_of_the_time() -> None:
    view, pace = View().wants(wish(), 0.0), Pace()
    view, _ = drawn(view, 1.0)
    busy, now = 0.0, 1.0
    for revision in range(1, 2000):  # the model changes every 10 ms
        now += 0.01
        view = view.wants(wish(revision=revision), now)
        ask = view.next(now, pace)
        if ask is not None:
            now += 0.4
            busy += 0.4
            view, pace = view.asking(ask).answered(0.4), pace.after(0.4, now)
    assert 0.2 < busy / (now - 1.0) < 0.26


def test_quick_pictures_of_a_training_model_come_ten_times_a_second_at_most() -> None:
    assert Pace().after(0.001, 5.0).free_at == pytest.approx(5.1)
    assert Pace(9.0).after(0.001, 5.0).free_at == 9.0


def test_the_users_own_movements_do_not_wait_for_the_pace() -> None:
    view, _ = drawn(View().wants(wish(), 0.0), 1.0)
    assert view.wants(wish(3), 1.1).next(1.1, Pace(free_at=100.0)) is not None
    assert view.wants(wish(revision=1), 1.1).next(1.1, Pace(free_at=100.0)) is None


def test_nothing_visible_asks_for_nothing_and_shows_nothing() -> None:
    view, _ = drawn(View().wants(wish(), 0.0), 0.0)
    for nothing in (None, Wish(camera(), ()), wish(visible=False)):
        empty = view.wants(nothing, 0.1)
        assert empty.next(5.0, Pace()) is None and empty.best(camera(), 0, 0.1) is None
    late = view.asking(Ask(wish(), 1.0)).wants(None, 0.2).answered(0.1)
    assert late.shown is None and late.asked is None


def test_a_failure_is_tried_again_after_a_second_and_an_overtaken_request_at_once() -> None:
    view = View().wants(wish(), 0.0)
    asked = view.asking(Ask(wish(), 1.0))
    failed = asked.failed(10.0)
    assert failed.next(10.9, Pace()) is None and failed.next(11.0, Pace()) is not None
    assert asked.overtaken().next(10.0, Pace()) is not None


def test_a_picture_from_far_round_or_of_another_time_is_not_shown() -> None:
    view, ask = drawn(View().wants(wish(), 0.0), 0.0)
    assert view.best(camera(10), 0, 0.1) is ask and view.best(camera(60), 0, 0.1) is None
    assert view.best(camera(orthographic=True), 0, 0.1) is None
    moved = view.wants(wish(version="2"), 1.0)
    assert moved.best(camera(), 0, 1.5) is ask and moved.best(camera(), 0, 1.0 + overlay.STALE_S + 0.1) is None


def at_rest(hiders: int = 0) -> tuple[View, Ask, Ask]:
    """A view that has come to rest at 1.0, its picture of all splats, and its exact one."""
    view, coarse = drawn(View().wants(wish(hiders=hiders), 0.0), 0.0, seconds=0.1)
    ask = view.next(1.0, Pace(), can_be_exact=True)
    assert ask is not None and ask.is_exact and ask.scale == 1
    return view.asking(ask).answered(0.4), coarse, ask


def test_at_rest_the_picture_is_exact_where_the_surface_can_be_told() -> None:
    view, coarse, exact = at_rest()
    assert view.best(camera(), 0, 1.1) is exact
    assert view.next(9.0, Pace(), can_be_exact=True) is None
    whole = view.next(9.0, Pace(), can_be_exact=False)
    assert whole is not None and not whole.is_exact and whole.scale == 1
    assert view.best(camera(1), 0, 1.1) is coarse, "an exact picture is cut for one place only"


def test_an_exact_picture_goes_at_once_when_something_else_may_hide_the_splats() -> None:
    view, coarse, _ = at_rest()
    assert view.best(camera(), 1, 1.1) is coarse, "before anybody has asked again"
    view = view.wants(wish(hiders=1), 2.0)
    assert view.best(camera(), 1, 2.0) is coarse
    view, whole = drawn(view, 2.01)
    assert whole.scale == 1 and not whole.is_exact, "while meshes move, all splats are drawn, whole, once"
    for now in (2.05, 2.1, 2.15):
        view = view.wants(wish(hiders=int(100 * now)), now)
        assert view.next(now, Pace(), can_be_exact=True) is None
        assert view.best(camera(), int(100 * now), now) is whole
    again = view.next(2.4, Pace(), can_be_exact=True)
    assert again is not None and again.is_exact
    view = view.asking(again).wants(wish(hiders=999), 2.45).answered(0.1)
    assert view.best(camera(), 999, 2.5) is whole, "what has changed meanwhile is not in it"


def test_an_exact_picture_of_the_same_place_needs_no_coarse_one() -> None:
    view, _, exact = at_rest()
    view, moving = drawn(view.wants(wish(3), 2.0), 2.0)
    view = view.wants(wish(), 2.05)
    assert moving.scale < 1 and view.next(2.05, Pace()) is None and view.best(camera(), 0, 2.05) is exact


def test_a_model_in_training_is_drawn_exactly_too_at_its_pace() -> None:
    view, _, _ = at_rest()
    view = view.wants(wish(revision=1), 2.0)
    assert view.next(2.0, Pace(free_at=3.0), can_be_exact=True) is None
    ask = view.next(3.0, Pace(free_at=3.0), can_be_exact=True)
    assert ask is not None and ask.is_exact and ask.wish.revision == 1


def test_moved_splats_are_drawn_where_they_were_until_their_new_picture_comes() -> None:
    view, _, exact = at_rest()
    view = view.wants(wish(version="2"), 2.0)
    assert view.best(camera(), 0, 2.0) is exact
    view, new = drawn(view, 2.0)
    assert view.best(camera(), 0, 2.1) is new


def test_pictures_that_cannot_be_drawn_are_let_go_and_asked_for_later() -> None:
    view = at_rest()[0].dropped(5.0)
    assert view.best(camera(), 0, 5.0) is None and view.next(5.5, Pace()) is None
    assert view.next(5.0 + overlay.RETRY_S, Pace()) is not None


def test_a_coarser_grid_sees_the_same() -> None:
    small = overlay.resized(camera(), 0.31)
    assert (small.width, small.height) == (198, 112)
    assert small.cx / small.width == pytest.approx(310 / 640) and small.fy / small.height == pytest.approx(500 / 360)
    assert overlay.resized(camera(), 1e-9).width == 1


def seen_at(clip: np.ndarray, share: np.ndarray, to: ViewCamera) -> np.ndarray:
    """Where a place in the picture (0..1 from its lower left) comes to lie, in pixels from the upper left."""
    x, y = share
    weights = np.array([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])
    point = weights @ clip
    return (point[:2] / point[3] * [1, -1] + 1) / 2 * [to.width, to.height]


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize(("turn", "x"), [(0.0, 0.0), (12.0, 0.0), (0.0, 0.7), (-7.0, 0.4)])
def test_a_plane_lands_where_the_other_camera_sees_it(turn: float, x: float, orthographic: bool) -> None:
    made_for, to = camera(orthographic=orthographic), camera(turn, x, orthographic=orthographic, width=500)
    point = np.array([0.8, -0.5, 4.0, 1.0])  # in the plane, 4 units away
    clip = overlay.corners(made_for, 4.0, to)
    share = pixel(made_for, point) / [640, 360]
    np.testing.assert_allclose(seen_at(clip, np.array([share[0], 1 - share[1]]), to), pixel(to, point), atol=1e-6)


def pixel(camera: ViewCamera, point: np.ndarray) -> np.ndarray:
    seen = np.reshape(camera.camera_from_world, (4, 4)) @ point
    flat = seen[:2] if camera.orthographic else seen[:2] / seen[2]
    return flat * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def test_the_same_camera_fills_the_view_exactly() -> None:
    clip = overlay.corners(camera(), 4.0, camera())
    assert (clip[:, 3] == 1).all() and set(map(tuple, clip[:, :2])) == {(-1, -1), (1, -1), (-1, 1), (1, 1)}


def test_the_middle_depth_is_that_of_what_is_seen() -> None:
    color, depth = np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64), np.float32)
    assert overlay.middle_depth(color, depth) == 0
    color[16:48, 16:48, 3], depth[16:48, 16:48] = 255, 3.5
    color[:8, :8, 3], depth[:8, :8] = 10, 900.0  # hardly there
    assert overlay.middle_depth(color, depth) == 3.5
