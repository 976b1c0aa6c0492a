"""Textures that are baked from pictures of known colours."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend.meshing.bake import bake
from backend.meshing.child_process import in_process
from backend.meshing.color_picture import ColorPicture
from backend.meshing.inputs import MeshingInputs
from backend.meshing.texels import NOBODY, faces_of_texels
from backend.meshing.viewpoints import viewpoints_around
from backend.methods.job import QuietJob
from backend.methods.meshing.tsdf import TsdfSettings, run
from backend.splats.bounds import robust_bounds
from backend.splats.cameras import Camera
from backend.splats.representation import CloudRepresentation
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.made_splats import sphere

SIZE = 256
GREY = np.full(3, 100, np.uint8)


def ball() -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=3)
    vertices = made.vertices.astype(np.float32)
    return TriangleMesh(vertices, made.faces.astype(np.int32), np.tile(GREY, (len(vertices), 1)))


def paint(places: np.ndarray) -> np.ndarray:
    """The true colour at a place, [..., 3] 0..255."""
    return 127.5 + 100 * np.sin(4 * places)


def unfolded(mesh: TriangleMesh) -> np.ndarray:
    arrays = {"vertices": mesh.vertices, "faces": mesh.faces}
    return in_process("unfold", arrays, {"size": SIZE, "padding": 2}, lambda: None)["uvs"]


def seen_by(camera: Camera, mesh: TriangleMesh, near: float) -> ColorPicture:
    depth = surface_depth(mesh.vertices, mesh.faces, camera, near=near)
    row, column = np.nonzero(np.isfinite(depth))
    rays = np.stack([(column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones((len(rays), 1))], 1) @ camera.camera_from_world[:3, :3]
    color = np.zeros((camera.height, camera.width, 3), np.uint8)
    color[row, column] = paint(camera.centre + rays * depth[row, column, None]).clip(0, 255)
    return ColorPicture(camera, color)


def pictures(mesh: TriangleMesh, count: int) -> list[ColorPicture]:
    bounds = np.array([[-1.0] * 3, [1.0] * 3])
    views = viewpoints_around(bounds, count, pixel=0.01, largest=256)
    return [seen_by(view.camera, mesh, 0.01) for view in views]


def test_every_texel_of_a_chart_is_where_its_face_is() -> None:
    uvs = np.array([[[0, 0], [1, 0], [0, 1]], [[1, 1], [1, 0.5], [0.5, 1]]], np.float32)
    faces, shares = faces_of_texels(uvs, 8, 0, 8)
    assert faces[7, 0] == 0 and faces[0, 7] == 1 and (faces != NOBODY).sum() > 36
    assert shares[7, 0] == pytest.approx([1 - 2 / 16, 1 / 16]), "the lowest row is the last, half a pixel inside"
    lower, _ = faces_of_texels(uvs, 8, 5, 8)
    assert np.array_equal(lower, faces[5:])


def test_charts_do_not_lie_on_each_other() -> None:
    mesh, uvs = ball(), unfolded(ball())
    assert uvs.shape == (len(mesh.faces), 3, 2) and uvs.min() >= 0 and uvs.max() <= 1
    sides = (uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0])
    areas = np.abs(sides[0][:, 0] * sides[1][:, 1] - sides[0][:, 1] * sides[1][:, 0]) / 2
    faces, _ = faces_of_texels(uvs, 2048, 0, 2048)
    assert (faces != NOBODY).mean() == pytest.approx(areas.sum(), rel=0.01), "else some would be hidden by others"


def test_the_texture_shows_at_every_place_what_the_pictures_show() -> None:
    mesh = ball()
    steps: list[int] = []
    baked = bake(
        mesh, mesh.vertex_normals, unfolded(mesh), SIZE, pictures(mesh, 12), after_each=lambda: steps.append(1)
    )
    assert len(steps) == 12 + 1 and baked.covered > 0.99
    random = np.random.default_rng(0)
    chosen, weights = random.integers(0, len(mesh.faces), 2000), random.dirichlet((1, 1, 1), 2000)
    places = (mesh.corners[chosen] * weights[..., None]).sum(axis=1)
    off = np.abs(baked.texture.at(chosen, weights) * 255 - paint(places))
    assert np.median(off) < 4 and np.percentile(off, 99) < 20


def test_what_stands_in_front_gives_no_colour_to_what_is_behind() -> None:
    mesh = ball()
    wall = TriangleMesh(
        np.array([[-3, -3, 1.5], [3, -3, 1.5], [0, 4, 1.5]], np.float32), np.array([[0, 1, 2]], np.int32)
    )
    both = TriangleMesh(
        np.vstack([mesh.vertices, wall.vertices]),
        np.vstack([mesh.faces, wall.faces + np.int32(len(mesh.vertices))]),
        np.tile(GREY, (len(mesh.vertices) + 3, 1)),
    )
    pose = np.diag([1.0, -1, -1, 1])
    pose[2, 3] = 5.0  # looks down from above the wall, which hides the ball
    camera = Camera(pose, 200, 200, 128, 128, 256, 256)
    picture = ColorPicture(camera, np.full((256, 256, 3), 255, np.uint8))
    baked = bake(both, both.vertex_normals, unfolded(both), SIZE, [picture], after_each=lambda: None)
    faces = np.arange(len(mesh.faces))
    colors = baked.texture.at(faces, np.full((len(faces), 3), 1 / 3)) * 255
    assert np.abs(colors - GREY).max() < 2, "unseen: the vertices' colour"
    assert 0 < baked.covered < 1


def test_pixels_between_charts_have_the_colour_of_the_nearest_chart() -> None:
    mesh = ball()
    bright = TriangleMesh(mesh.vertices, mesh.faces, np.full((len(mesh.vertices), 3), 200, np.uint8))
    baked = bake(bright, bright.vertex_normals, unfolded(mesh), SIZE, [], after_each=lambda: None)
    assert (baked.texture.image == 200).all() and baked.covered == 0


def test_masked_pixels_give_no_colour() -> None:
    mesh = ball()
    masked = [ColorPicture(p.camera, p.color, np.zeros(p.color.shape[:2], bool)) for p in pictures(mesh, 4)]
    assert bake(mesh, mesh.vertex_normals, unfolded(mesh), SIZE, masked, after_each=lambda: None).covered == 0


def test_a_mesh_of_splats_wears_their_colours() -> None:
    cloud = sphere(1.0, 3000)
    bounds = robust_bounds(cloud)
    assert bounds is not None
    inputs = MeshingInputs(CloudRepresentation(cloud, "cpu"), bounds)
    result = run(TsdfSettings(resolution=32, views=12, texture=SIZE), inputs, QuietJob())
    assert result.texture is not None and result.color_from == "splats" and result.covered is not None
    assert result.covered > 0.95 and result.texture.image.shape == (SIZE, SIZE, 3)
    middle = np.full((len(result.mesh.faces), 3), 1 / 3)
    colors = result.texture.at(np.arange(len(middle)), middle) * 255
    height = result.mesh.corners.mean(axis=1)[:, 2]
    assert np.abs(np.median(colors[height > 0.3], axis=0) - [229.5, 25.5, 25.5]).max() < 8
    assert np.abs(np.median(colors[height < -0.3], axis=0) - [25.5, 25.5, 229.5]).max() < 8
    with pytest.raises(UserError, match="no photos"):
        run(TsdfSettings(resolution=32, views=12, texture=SIZE, color_from="photos"), inputs, QuietJob())
