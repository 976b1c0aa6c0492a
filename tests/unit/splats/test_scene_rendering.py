"""Scenes of several placed objects: one joint sort, exact placement, surfaces inside, perspective and parallel rays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.raster import brute_force
from backend.splats.rendering import Drawing, SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation
from backend.splats.spherical_harmonics import sh_colors
from backend.splats.surface_depth import surface_depth, surface_depth_samples
from shared_protocol.errors import UserError


def camera(**changes) -> Camera:
    matrix = np.eye(4)
    matrix[2, 3] = 5.0
    return replace(Camera(matrix, fx=50.0, fy=48.0, cx=20.0, cy=16.0, width=40, height=32), **changes)


def cloud(seed: int, count: int = 12, degree: int = 2, spread: float = 0.8) -> SplatCloud:
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    return SplatCloud(
        means=spread * normal(count, 3),
        quats=normal(count, 4),
        log_scales=np.float32(-1.3) + 0.4 * normal(count, 3),
        opacity_logits=normal(count),
        sh=0.4 * normal(count, (degree + 1) ** 2, 3),
    )


def rotation(axis: int, degrees: float) -> np.ndarray:
    angle, matrix = np.radians(degrees), np.eye(4)
    first, second = [i for i in range(3) if i != axis]
    matrix[[first, second, first, second], [first, second, second, first]] = (
        *[np.cos(angle)] * 2,
        -np.sin(angle),
        np.sin(angle),
    )
    return matrix


def placed(turn: np.ndarray | None = None, scale=1.0, offset=(0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.eye(4) if turn is None else turn.copy()
    matrix[:3, :3] = matrix[:3, :3] * scale
    matrix[:3, 3] = offset
    return matrix


def item(splats: SplatCloud, matrix: np.ndarray | None = None, *, antialiased: bool = False) -> SceneObject:
    return SceneObject(
        CloudRepresentation(splats, "cpu", antialiased=antialiased), placed() if matrix is None else matrix
    )


def draw(*items: SceneObject, by: Camera | None = None, **options) -> Drawing:
    return draw_scene(items, by or camera(), device="cpu", depth=True, **options)


def truth(
    items: list[tuple[SplatCloud, np.ndarray]], by: Camera, **options
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every splat carried into the world by hand, drawn splat by splat in float64."""
    means, covariances, opacities, colors = [], [], [], []
    for splats, matrix in items:
        own = CloudRepresentation(splats, "cpu").splats(by, 0, 0)
        linear = torch.tensor(matrix[:3, :3])
        w, x, y, z = torch.nn.functional.normalize(torch.tensor(splats.quats).double(), dim=-1).unbind(-1)
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        turn = torch.stack([torch.stack(row, -1) for row in rows], -2)
        assert own.scales is not None and own.sh_degree is not None
        axes = linear @ turn * own.scales.double()[:, None, :]
        local = np.linalg.inv(matrix) @ [*by.centre, 1.0]
        seen_along = torch.tensor(splats.means).double() - torch.tensor(local[:3])
        if by.orthographic:
            forward = np.linalg.solve(matrix[:3, :3], by.forward)
            seen_along = torch.tensor(forward).expand_as(seen_along)
        colors.append(sh_colors(own.sh_degree, seen_along, torch.tensor(splats.sh).double()))
        means.append(torch.tensor(splats.means).double() @ linear.T + torch.tensor(matrix[:3, 3]))
        covariances.append(axes @ axes.transpose(1, 2))
        opacities.append(own.opacities.double())
    picture, alpha, _ = brute_force.rasterization(
        torch.cat(means),
        None,
        None,
        torch.cat(opacities),
        torch.cat(colors),
        torch.tensor(by.camera_from_world)[None],
        torch.tensor(by.intrinsics)[None],
        by.width,
        by.height,
        render_mode="RGB+ED",
        covars=torch.cat(covariances),
        camera_model="ortho" if by.orthographic else "pinhole",
        **options,
    )
    return picture[0, ..., :3].numpy(), alpha[0, ..., 0].numpy(), picture[0, ..., 3].numpy()


def assert_like(drawn: Drawing, expected: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert drawn.depth is not None
    color, alpha, depth = expected
    np.testing.assert_allclose(drawn.alpha.numpy(), alpha, atol=2e-4)
    np.testing.assert_allclose(drawn.color.numpy(), color, atol=2e-4)
    opaque = alpha > 0.05
    assert opaque.any()
    np.testing.assert_allclose(drawn.depth.numpy()[opaque], depth[opaque], rtol=2e-3)


SHEAR = np.array([[1.0, 0.5, 0.0, 0.3], [0.0, 1.4, 0.0, 0.0], [0.2, 0.0, 0.6, -0.2], [0, 0, 0, 1]])
MIRROR = np.diag([-1.0, 1.0, 1.2, 1.0])


@pytest.mark.parametrize("orthographic", [False, True])
def test_several_objects_are_sorted_as_one_cloud(orthographic: bool) -> None:
    """Their splats interpenetrate, so drawing one object after the other would be wrong."""
    parts = [
        (cloud(1), placed()),
        (cloud(2), placed(rotation(1, 70), 0.7, (0.3, -0.1, 0.2))),
        (cloud(3), SHEAR),
        (cloud(4), MIRROR),
    ]
    by = camera(orthographic=orthographic, fx=14.0 if orthographic else 50.0, fy=13.0 if orthographic else 48.0)
    expected = truth(parts, by)
    assert_like(draw(*(item(splats, matrix) for splats, matrix in parts), by=by), expected)
    one_after_another = np.zeros((32, 40, 3))
    for splats, matrix in parts:
        color, alpha, _ = truth([(splats, matrix)], by)
        one_after_another = color + (1 - alpha[..., None]) * one_after_another
    assert np.abs(one_after_another - expected[0]).max() > 0.05


@pytest.mark.parametrize(
    "matrix",
    [placed(), placed(rotation(0, 130), 2.5, (0.1, 0.2, 3.0)), SHEAR, MIRROR],
    ids=["still", "turned and scaled", "sheared", "mirrored"],
)
def test_one_object_is_where_its_matrix_puts_it(matrix: np.ndarray) -> None:
    assert_like(draw(item(cloud(5), matrix)), truth([(cloud(5), matrix)], camera()))


def test_moving_the_object_is_moving_the_camera_the_other_way() -> None:
    matrix = placed(rotation(1, 25), 1.0, (0.4, 0.1, -0.3))
    moved = replace(camera(), camera_from_world=camera().camera_from_world @ matrix)
    one, other = draw(item(cloud(6), matrix)), draw(item(cloud(6)), by=moved)
    torch.testing.assert_close(one.color, other.color, atol=1e-4, rtol=0)


def test_the_principal_point_shifts_the_picture() -> None:
    """A lens shift shows another part of the same image plane."""
    wide = draw(item(cloud(7)), by=camera(width=56, cx=28.0))
    shifted = draw(item(cloud(7)), by=camera(cx=15.0))
    # Far outside the picture a splat's perspective is clamped, as in gsplat, and the two pictures end elsewhere.
    torch.testing.assert_close(shifted.color, wide.color[:, 13:53], atol=5e-3, rtol=0)
    torch.testing.assert_close(shifted.color[:, 4:36], wide.color[:, 17:49], atol=1e-3, rtol=0)


def test_parallel_rays_see_the_same_wherever_the_camera_stands_along_them() -> None:
    by = camera(orthographic=True, fx=14.0, fy=14.0)
    farther = by.camera_from_world.copy()
    farther[2, 3] += 20.0
    near, far = draw(item(cloud(8)), by=by), draw(item(cloud(8)), by=replace(by, camera_from_world=farther))
    torch.testing.assert_close(near.color, far.color, atol=1e-4, rtol=0)
    assert near.depth is not None and far.depth is not None
    seen = near.alpha > 0.05
    torch.testing.assert_close(near.depth[seen] + 20, far.depth[seen], atol=1e-2, rtol=0)


@pytest.mark.parametrize("count", [1, 2])
def test_the_blend_stops_at_a_surface(count: int) -> None:
    parts = [(cloud(seed), placed(rotation(2, 40), 1.3)) for seed in range(count)]
    surface = np.full((32, 40), np.inf, np.float32)
    surface[:, 20:] = 5.1  # between the splats
    drawn = draw(*(item(*part) for part in parts), surface_depth=surface)
    expected = truth(parts, camera(), surface_depths=torch.tensor(surface)[None])
    assert_like(drawn, expected)
    assert np.abs(drawn.color.numpy() - draw(*(item(*part) for part in parts)).color.numpy())[:, 20:].max() > 0.05
    whole = truth(parts, camera())
    np.testing.assert_allclose(drawn.color.numpy()[:, :20], whole[0][:, :20], atol=2e-4)


def test_a_plane_through_the_middle_of_a_fog_is_as_smooth_as_the_truth() -> None:
    """The truth: 8x8 places of each pixel on the tilted plane, of which we look at 2x2."""
    by, side, corner = camera(), 8, 0.4
    fog = replace(cloud(15, count=400, spread=0.6), opacity_logits=np.full(400, -1.0, np.float32))
    # a square that is turned, so that its edges and its corner cross pixels everywhere
    square = np.array([[-2, -2, 0], [corner, -2, 0], [corner, corner, 0], [-2, corner, 0]]) @ rotation(2, 20)[:3, :3]
    plane = (square @ rotation(0, 35)[:3, :3].T).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    fine = surface_depth(plane, faces, by.resized(side * by.width, side * by.height), near=0.01)
    places = fine.reshape(by.height, side, by.width, side).transpose(0, 2, 1, 3).reshape(by.height, by.width, -1)
    expected = truth([(fog, placed())], by, surface_depths=torch.tensor(places.astype(np.float64))[None])
    assert 0.1 < np.isfinite(places).mean() < 0.9 and expected[1].mean() > 0.3
    one = draw(item(fog), by=by, surface_depth=surface_depth(plane, faces, by, near=0.01))
    four = draw(item(fog), by=by, surface_depth=surface_depth_samples(plane, faces, by, near=0.01))

    def decibels(drawn: Drawing) -> float:
        return float(-10 * np.log10(np.mean((drawn.color.numpy() - expected[0]) ** 2)))

    assert decibels(four) > 40 and decibels(four) > decibels(one) + 3


@pytest.mark.parametrize("count", [1, 3])
def test_the_spread_is_how_far_splats_lie_from_their_mean_depth(count: int) -> None:
    """From the truth's pictures of the distance, and of its square."""
    parts = [(cloud(20 + seed), placed(rotation(1, 30.0 * seed))) for seed in range(count)]
    drawn = draw(*(item(*part) for part in parts), spread=True)
    assert_like(drawn, truth(parts, camera()))
    moments = []
    for power in (1, 2):
        flat = []
        for splats, matrix in parts:
            away = splats.means.astype(np.float64) @ matrix[2, :3] + 5.0
            sh = np.zeros((len(away), 1, 3), np.float32)
            sh[:, 0] = ((away**power / 50 - 0.5) / 0.28209479177387814)[:, None]
            flat.append((replace(splats, sh=sh), matrix))
        picture, alpha, _ = truth(flat, camera())
        moments.append(picture[..., 0] * 50 / np.maximum(alpha, 1e-10))
    expected = np.sqrt(np.maximum(moments[1] - moments[0] ** 2, 0))
    assert drawn.spread is not None
    opaque = drawn.alpha.numpy() > 0.05
    np.testing.assert_allclose(drawn.spread.numpy()[opaque], expected[opaque], atol=5e-3)
    assert drawn.spread.numpy()[opaque].max() > 0.3 and float(draw(spread=True).alpha.max()) == 0.0


def test_a_surface_nearer_than_everything_hides_everything() -> None:
    assert draw(item(cloud(9)), surface_depth=np.full((32, 40), 0.1, np.float32)).alpha.max() == 0


def test_near_and_far_leave_splats_out() -> None:
    flat = replace(cloud(10), means=np.array([[0, 0, -2], [0, 0, 0], [0, 0, 2]] * 4, np.float32))
    middle = flat.select(flat.means[:, 2] == 0)
    for matrix in (placed(), MIRROR @ placed(scale=(1, 1, 1 / 1.2))):
        drawn = draw(item(flat, matrix), near=4.0, far=6.0)
        torch.testing.assert_close(drawn.color, draw(item(middle, matrix)).color, atol=1e-5, rtol=0)


def test_nothing_visible_is_an_empty_picture() -> None:
    empty = draw()
    assert empty.color.shape == (32, 40, 3) and empty.depth is not None
    assert float(empty.color.max()) == float(empty.alpha.max()) == float(empty.depth.max()) == 0.0


def test_far_from_the_origin_nothing_trembles() -> None:
    offset = np.array([4e5, -2e5, 3e5])
    by = camera()
    there = by.camera_from_world.copy()
    there[:3, 3] -= there[:3, :3] @ offset
    here = draw(item(cloud(11)), item(cloud(12)))
    away = draw(
        item(cloud(11), placed(offset=offset)),
        item(cloud(12), placed(offset=offset)),
        by=replace(by, camera_from_world=there),
    )
    torch.testing.assert_close(here.color, away.color, atol=1e-4, rtol=0)


def test_objects_may_ask_to_be_antialiased() -> None:
    tiny = replace(cloud(13), log_scales=np.full((12, 3), -6, np.float32))
    plain, asked = draw(item(tiny)), draw(item(tiny, antialiased=True))
    assert float(asked.alpha.sum()) < 0.5 * float(plain.alpha.sum())
    torch.testing.assert_close(draw(item(tiny), antialiased=True).color, asked.color)


def test_a_placement_that_flattens_is_refused() -> None:
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    with pytest.raises(UserError, match="scaled to nothing"):
        draw(item(cloud(14), flat))
