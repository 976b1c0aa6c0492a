"""What is drawn over a 3D view that rests, with a real backend. Without a window, the drawing is asked for by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import gpu
import numpy as np
import pytest
import splat_scene
from mathutils import Matrix

Room = Callable[[str], ModuleType]
WIDTH, HEIGHT = 160, 120


class View:
    """The first 3D view, drawn into memory as a window draws it: the scene, then what is drawn over it."""

    def __init__(self, room: Room, current: ModuleType) -> None:
        self.room, self.current = room, current
        self.viewport, self.drawing, self.eyes = map(room, ("host.viewport", "host.viewport_drawing", "host.eyes"))
        area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
        self.space, self.window_region = area.spaces.active, next(r for r in area.regions if r.type == "WINDOW")
        self.region = SimpleNamespace(width=WIDTH, height=HEIGHT, as_pointer=self.window_region.as_pointer)
        self.is_due = True
        self.projection = np.array([[2.5, 0, 0, 0], [0, 10 / 3, 0, 0], [0, 0, -1.0002, -0.020002], [0, 0, -1, 0]])
        self.place = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, -6], [0, 0, 0, 1]])  # along +y at the origin
        room("host.offscreen")._start_graphics()

    @property
    def eye(self) -> Any:
        return self.eyes.by_region[self.region.as_pointer()]

    @property
    def camera(self) -> Any:
        return self.room("core.camera").view_camera_of_window(self.projection, self.place, WIDTH, HEIGHT)

    def draw(self) -> np.ndarray:
        """[H, W, 4] 0..1."""
        self.is_due = False
        context: Any = bpy.context
        context.evaluated_depsgraph_get()  # as a window does before it draws
        target = gpu.types.GPUOffScreen(WIDTH, HEIGHT, format="RGBA8")
        view, projection = Matrix(self.place.tolist()), Matrix(self.projection.tolist())
        scene, layer = context.scene, context.view_layer
        target.draw_view3d(scene, layer, self.space, self.window_region, view, projection, do_color_management=True)
        seen = SimpleNamespace(
            region=self.region,
            region_data=self.space.region_3d,
            space_data=self.space,
            scene=context.scene,
            view_layer=context.view_layer,
            mode=context.mode,
            preferences=context.preferences,
        )
        with target.bind():
            self.drawing._draw_splats(seen)
            buffer = gpu.state.active_framebuffer_get().read_color(0, 0, WIDTH, HEIGHT, 4, 0, "UBYTE")
        buffer.dimensions = WIDTH * HEIGHT * 4
        target.free()
        return np.array(buffer, np.uint8).reshape(HEIGHT, WIDTH, 4)[::-1] / 255

    def until(self, condition: Callable[[Any], object], seconds: float = 30.0) -> bool:
        """Ticks, and draws where a window would, until it holds of the eye."""

        def holds() -> object:
            self.viewport.advance()
            if self.eye.wants_surface or self.is_due:
                self.draw()
            return condition(self.eye)

        return bool(self.current.wait_until(holds, seconds))

    def comes_to_rest(self) -> bool:
        return self.until(lambda eye: eye.view.exact is not None and eye.view.exact.wish == eye.view.wish)


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    ball = splat_scene.make(tmp_path)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.data.objects.remove(bpy.data.objects["Plane"])
    return ball


@pytest.fixture
def view(ball: Any, connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connected, "is_interactive", lambda: True)
    view = View(room, connected)
    monkeypatch.setattr(view.eyes, "redraw", lambda _: setattr(view, "is_due", True))
    monkeypatch.setattr(room("host.cameras"), "view_camera_of_region", lambda *_: view.camera)
    view.space.overlay.show_overlays = False
    view.space.shading.type, view.space.shading.light = "SOLID", "FLAT"
    view.draw()
    yield view
    view.eyes.by_region.clear()


def wall(y: float, size: float = 4.0) -> Any:
    """Upright, facing the view."""
    bpy.ops.mesh.primitive_plane_add(size=size, location=(0, y, 0), rotation=(np.pi / 2, 0, 0))
    bpy.context.view_layer.update()
    return bpy.context.object


def covered(picture: np.ndarray, without: np.ndarray) -> float:
    """The share of the view where splats are seen."""
    return float((np.abs(picture - without).max(-1) > 0.02).mean())


def test_a_mesh_that_moves_in_front_hides_splats_at_once_and_exactly_at_rest(view: View, ball: Any) -> None:
    screen = wall(0.0)  # through the middle
    assert view.comes_to_rest() and view.eye.source == "meshes"
    assert view.eye.exact_picture.depth is None, "a depth is not sent where it is not used"
    half = view.draw()
    screen.location.y = -3.0
    bpy.context.view_layer.update()
    hidden = view.draw()  # before anything was asked again
    ball.hide_set(True)
    bpy.context.view_layer.update()
    without = view.draw()
    assert covered(half, without) > 0.05 and covered(hidden, without) == 0
    ball.hide_set(False)
    screen.location.y = 3.0
    bpy.context.view_layer.update()
    assert view.comes_to_rest()
    free = view.draw()
    assert np.abs(free - half).max() > 0.05  # its back half is there again
    old = view.eye.view.exact
    assert view.until(lambda eye: eye.view.asked is None, 1.0) and view.eye.view.exact is old  # nothing more is asked


def test_turned_a_view_shows_what_was_not_cut(view: View) -> None:
    wall(0.0)
    assert view.comes_to_rest()
    view.place = view.place.copy()
    view.place[0, 3] = 0.01
    view.draw()
    assert view.eye.view.best(view.eye.camera, view.eye.hiders_number, 0.0) is view.eye.view.shown
    assert view.comes_to_rest()
    assert view.eye.exact_picture.made_for == view.eye.camera


def test_selecting_is_no_change_of_what_hides_splats(view: View) -> None:
    screen = wall(0.0)
    assert view.comes_to_rest()
    exact = view.eye.view.exact
    screen.select_set(not screen.select_get())
    bpy.context.view_layer.update()
    view.draw()
    assert view.eye.view.best(view.eye.camera, view.eye.hiders_number, 0.0) is exact


def test_with_overlays_lines_in_front_stay_in_front(view: View, ball: Any) -> None:
    """Their depth is in the view, but not in the surface."""
    space = view.space
    space.overlay.show_overlays = True
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    space.overlay.show_cursor = space.overlay.show_object_origins = False
    empty = bpy.data.objects.new("Empty", None)
    empty.empty_display_type, empty.location.y, empty.empty_display_size = "CUBE", -2.0, 0.3
    bpy.context.collection.objects.link(empty)
    wall(0.0)
    for item in bpy.context.view_layer.objects:
        item.select_set(False)
    bpy.context.view_layer.update()
    view.draw()
    assert view.comes_to_rest() and view.eye.source == "meshes"
    assert view.eye.exact_picture.depth is not None
    with_splats = view.draw()
    ball.hide_set(True)
    bpy.context.view_layer.update()
    without = view.draw()
    empty.hide_set(True)
    bpy.context.view_layer.update()
    lines = np.abs(view.draw() - without).max(-1) > 0.1
    assert lines.sum() > 50 and covered(with_splats, without) > 0.02
    assert np.abs(with_splats - without).max(-1)[lines].mean() < 0.1


@pytest.mark.parametrize("change", ["filter", "local view"])
def test_a_viewport_notices_what_only_it_hides(view: View, ball: Any, change: str) -> None:
    """Blender tells nobody."""
    assert view.until(lambda eye: eye.objects)
    if change == "filter":
        view.space.show_object_viewport_mesh = False
    else:
        for item in bpy.context.view_layer.objects:
            item.select_set(item.type == "LIGHT")
        area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
        region = next(r for r in area.regions if r.type == "WINDOW")
        with bpy.context.temp_override(area=area, region=region):
            bpy.ops.view3d.localview(frame_selected=False)
    view.draw()
    try:
        assert view.until(lambda eye: not eye.objects, 2.0)
    finally:
        view.space.show_object_viewport_mesh = True
        if change != "filter":
            with bpy.context.temp_override(area=area, region=region):
                bpy.ops.view3d.localview(frame_selected=False)


def test_four_places_of_each_pixel_make_edges_smooth(view: View, ball: Any) -> None:
    edge = wall(-3.0, 2.0)
    edge.location.x, edge.rotation_euler.y = -0.9, 0.2
    bpy.context.view_layer.update()
    assert view.comes_to_rest()
    assert view.eye.surface.depth.shape == (HEIGHT, WIDTH, 4)
    alpha = view.eye.exact_picture.color[..., 3]
    row = alpha[20:60]
    assert ((row > 20) & (row < 200)).any(1).mean() > 0.5  # the ball's upper half is solid


# ---- bad states


def test_a_texture_that_finds_no_room_is_said_and_tried_again(
    view: View, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = room("host.overlay_drawing")

    def refuse(*_: object) -> None:
        raise RuntimeError("GPUTexture.__new__(...): failed to create texture")

    with monkeypatch.context() as full:
        full.setattr(drawing, "_texture", refuse)
        assert view.until(lambda eye: eye.trouble)
        assert view.drawing.notice(view.eye).startswith("Splats are not drawn. The graphics card has no room")
        view.viewport.advance()
        assert view.eye.picture is None and view.eye.exact_picture is None
    assert view.until(lambda eye: eye.exact_picture is not None)
    view.draw()
    assert view.drawing.notice(view.eye) == ""


def test_a_depth_that_cannot_be_read_leaves_the_view_as_it_moves(
    view: View, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no framebuffer")

    monkeypatch.setattr(room("host.mesh_depth"), "distances", refuse)
    wall(0.0)
    assert view.until(lambda eye: eye.has_no_surface)
    assert view.until(lambda eye: eye.view.shown is not None and eye.view.shown.scale == 1)
    assert view.eye.view.exact is None and covered(view.draw(), np.zeros(4)) > 0


def test_a_region_without_a_size_is_left_alone(view: View, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    view.region.width = 0
    view.eyes.by_region.clear()
    view.draw()
    assert not view.eyes.by_region
    view.region.width, view.region.height = 1, 1
    small = room("core.camera").view_camera_of_window(view.projection, view.place, 1, 1)
    monkeypatch.setattr(room("host.cameras"), "view_camera_of_region", lambda *_: small)
    view.draw()
    assert view.until(lambda eye: eye.picture is not None) and view.eye.picture.color.shape == (1, 1, 4)


def test_a_backend_that_is_lost_in_mid_frame_is_said_and_the_view_goes_on(
    view: View, served_backend: Any, room: Room
) -> None:
    assert view.comes_to_rest()
    things = room("protocol").things
    slow = tuple(things.SceneObject(asset=view.eye.objects[0].asset) for _ in range(400))
    view.eyes.collected()
    view.eye.objects = slow  # takes longer than what follows
    view.viewport.advance()
    assert view.eye.view.asked is not None
    served_backend._process.kill()
    served_backend.stop()
    assert view.until(lambda eye: view.current.link() is None and eye.view.asked is None)
    assert view.drawing.notice(view.eye).startswith("Splats are not up to date.")
    view.draw()
    served_backend.start()
    bpy.ops.splatwright.backend_connect(connection_file=str(served_backend.connection_file))
    assert view.until(lambda eye: view.current.link() is not None and view.drawing.notice(eye) == "", 60)


def test_a_backend_of_another_version_is_said_in_the_view(
    view: View, served_backend: Any, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert view.comes_to_rest()
    bpy.ops.splatwright.backend_stop()
    monkeypatch.setattr(room("protocol").client, "PROTOCOL_VERSION", 99)
    served_backend.start()
    bpy.ops.splatwright.backend_connect(connection_file=str(served_backend.connection_file))
    assert view.until(lambda eye: "99" in view.drawing.notice(eye)), view.drawing.notice(view.eye)
    view.draw()


# ---- the render border


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (40, 30, 80, 60)),
        ({"shading": "MATERIAL"}, None),
        ({"engine": "BLENDER_WORKBENCH"}, None),
        ({"use_render_border": False}, None),
        ({"perspective": "CAMERA"}, None),  # the scene's border counts there, and there is none
    ],
)
def test_splats_stay_within_a_viewports_render_border(
    empty_file: None, room: Room, changes: dict[str, Any], expected: Any
) -> None:
    given = {"shading": "RENDERED", "engine": "CYCLES", "use_render_border": True, "perspective": "PERSP"} | changes
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
    space.use_render_border, space.shading.type = given["use_render_border"], given["shading"]
    space.render_border_min_x = space.render_border_min_y = 0.25
    space.render_border_max_x = space.render_border_max_y = 0.75
    bpy.context.scene.render.engine = given["engine"]
    context = SimpleNamespace(
        space_data=space,
        scene=bpy.context.scene,
        region=SimpleNamespace(width=160, height=120),
        region_data=SimpleNamespace(view_perspective=given["perspective"]),
    )
    assert room("host.render_border").rectangle(context) == expected


def test_splats_stay_within_the_cameras_border_wherever_its_frame_is(empty_file: None, room: Room) -> None:
    scene: Any = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.scale, scene.camera.location = (2, 2, 2), (1, 2, 3)
    scene.camera.data.shift_x = 0.1
    bpy.context.view_layer.update()
    render = scene.render
    render.engine, render.resolution_x, render.resolution_y = "CYCLES", 400, 200
    render.use_border, render.border_min_x, render.border_max_x = True, 0.5, 1.0
    render.border_min_y, render.border_max_y = 0.0, 0.5
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
    space.shading.type = "RENDERED"
    depsgraph = bpy.context.evaluated_depsgraph_get()
    # A region of 400 x 400 in which the camera's frame of 400 x 200 is zoomed out to half and lies in the middle.
    projection = scene.camera.calc_matrix_camera(depsgraph, x=400, y=200)
    zoomed = Matrix.Diagonal((0.5, 0.25, 1, 1)) @ projection
    region_3d = SimpleNamespace(
        view_perspective="CAMERA", perspective_matrix=zoomed @ scene.camera.matrix_world.normalized().inverted()
    )
    region = SimpleNamespace(width=400, height=400)
    context = SimpleNamespace(space_data=space, scene=scene, region=region, region_data=region_3d)
    found = room("host.render_border").rectangle(context)
    np.testing.assert_allclose(found, (200, 150, 100, 50), atol=1)


def test_nothing_is_drawn_beyond_the_border(view: View, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    assert view.comes_to_rest()
    whole = view.draw()
    monkeypatch.setattr(room("host.render_border"), "rectangle", lambda _: (0, 0, WIDTH // 2, HEIGHT))
    half = view.draw()
    monkeypatch.setattr(room("host.render_border"), "rectangle", lambda _: (0, 0, 0, 0))
    nothing = view.draw()
    assert (half[:, : WIDTH // 2] == whole[:, : WIDTH // 2]).all()
    assert (half[:, WIDTH // 2 :] == nothing[:, WIDTH // 2 :]).all() and covered(half, nothing) > 0.05
