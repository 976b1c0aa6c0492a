"""Edits do to splats exactly what they say, to those that are selected and to no others."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from backend.editing.box import Box
from backend.editing.inputs import EditingInputs, EditingResult, PlacedCloud
from backend.methods import registry
from backend.methods.job import QuietJob
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.sh_basis import basis_functions
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.made_splats import box, sphere, with_shine

CLOUD = with_shine(sphere(1.0, 600), 3)
HALF = CLOUD.means[:, 0] > 0.2
GENERATOR = np.random.default_rng(4)
DIRECTIONS = GENERATOR.normal(size=(40, 3))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def edited(method: str, selected: np.ndarray | None = HALF, cloud: SplatCloud = CLOUD, **more) -> EditingResult:
    inputs = {
        name: more.pop(name) for name in ("box", "hidden", "mesh", "matrix", "points", "others", "up") if name in more
    }
    found = registry.find(method)
    settings = msgspec.convert(more, found.settings_type)
    return found.run(settings, EditingInputs(cloud, selected=selected, **inputs), QuietJob())


def same(one: SplatCloud, two: SplatCloud, rows: np.ndarray | slice = slice(None)) -> bool:
    return all(np.array_equal(getattr(one, name)[rows], getattr(two, name)[rows]) for name in FIELDS)


def colors(cloud: SplatCloud, directions: np.ndarray) -> np.ndarray:
    """[N, D, 3] of each splat from each side, not clamped."""
    basis = np.stack(basis_functions(cloud.sh_degree, *directions.T), -1)
    return np.einsum("dk,nkc->ndc", basis, cloud.sh.astype(np.float64)) + 0.5


def covariances(cloud: SplatCloud) -> np.ndarray:
    axes = axes_of_shapes(cloud.quats, cloud.log_scales)
    return axes @ axes.transpose(0, 2, 1)


def test_deleting_leaves_the_others_as_they_were() -> None:
    assert same(edited("delete").cloud, CLOUD.select(~HALF))
    assert same(edited("delete", what="others").cloud, CLOUD.select(HALF))


def test_copies_are_moved_and_selected() -> None:
    made = edited("duplicate", move_z=2.0)
    assert made.selected is not None and made.copies is not None
    assert same(made.cloud.select(~made.selected), CLOUD)
    copies = made.cloud.select(made.selected)
    assert np.allclose(copies.means, CLOUD.means[HALF] + (0, 0, 2), atol=1e-6)
    assert np.array_equal(copies.sh, CLOUD.sh[HALF])
    assert np.array_equal(made.sources()[made.selected], np.flatnonzero(HALF))


def test_separating_takes_out_what_becomes_an_asset_of_its_own() -> None:
    made = edited("separate")
    assert made.apart is not None and np.array_equal(made.apart, HALF) and same(made.cloud, CLOUD.select(~HALF))
    kept = edited("separate", keep=True)
    assert same(kept.cloud, CLOUD) and kept.apart is not None and np.array_equal(kept.apart, HALF)


def test_joining_raises_to_the_highest_degree_and_carries_each_where_it_stands() -> None:
    other = box(0.3, 6)
    matrix = np.eye(4)
    matrix[:3, 3] = (5, 0, 0)
    made = edited("join", others=(PlacedCloud(other, matrix), PlacedCloud(CLOUD, np.eye(4))))
    count = len(CLOUD)
    assert made.cloud.sh_degree == 3 and len(made.cloud) == 2 * count + len(other)
    assert np.array_equal(made.cloud.sh[:count], CLOUD.sh)
    joined = made.cloud.select(np.arange(count, count + len(other)))
    assert np.allclose(joined.means, other.means + np.array([5, 0, 0]), atol=1e-6)
    assert np.array_equal(joined.sh[:, :1], other.sh) and not joined.sh[:, 1:].any()
    assert (made.sources()[count:] == -1).all()


def test_a_uniform_transformation_is_exact_for_shapes_and_colours() -> None:
    turn = Rotation.from_euler("xyz", [20, -50, 130], degrees=True).as_matrix()
    made = edited(
        "transform", move_x=1.0, turn_x=20.0, turn_y=-50.0, turn_z=130.0, scale_x=2.0, scale_y=2.0, scale_z=2.0,
        pivot="origin",
    ).cloud  # fmt: skip
    assert same(made, CLOUD, ~HALF)
    assert np.allclose(made.means[HALF], 2 * CLOUD.means[HALF] @ turn.T + (1, 0, 0), atol=1e-5)
    assert np.allclose(covariances(made)[HALF], 4 * turn @ covariances(CLOUD)[HALF] @ turn.T, atol=1e-6)
    assert np.allclose(colors(made, DIRECTIONS @ turn.T)[HALF], colors(CLOUD, DIRECTIONS)[HALF], atol=1e-5)


def test_under_uneven_scale_and_shear_covariances_become_j_c_jt() -> None:
    matrix = np.eye(4)
    matrix[:3] = GENERATOR.normal(size=(3, 4))
    made = edited("transform", matrix=matrix).cloud
    linear = matrix[:3, :3]
    assert np.allclose(covariances(made)[HALF], linear @ covariances(CLOUD)[HALF] @ linear.T, rtol=1e-4, atol=1e-7)
    assert same(made, CLOUD, ~HALF)


def test_turning_about_the_middle_keeps_it() -> None:
    made = edited("transform", None, turn_z=180.0).cloud
    middle = np.median(CLOUD.means, axis=0)
    assert np.allclose(made.means[:, :2], (2 * middle - CLOUD.means)[:, :2], atol=1e-5)


def test_a_mirrored_splat_looks_in_the_mirror_as_before() -> None:
    flip = np.diag([1.0, -1.0, 1.0])
    made = edited("mirror", axis="y", pivot="origin").cloud
    assert np.allclose(made.means[HALF], CLOUD.means[HALF] @ flip, atol=1e-6)
    assert np.allclose(covariances(made)[HALF], flip @ covariances(CLOUD)[HALF] @ flip, atol=1e-7)
    assert np.allclose(colors(made, DIRECTIONS @ flip)[HALF], colors(CLOUD, DIRECTIONS)[HALF], atol=1e-5)
    copied = edited("mirror", axis="y", pivot="origin", copy=True)
    assert same(copied.cloud.select(np.arange(600)), CLOUD)
    assert same(copied.cloud.select(np.arange(600, len(copied.cloud))), made.select(HALF))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"exposure": 2.2}, lambda c: 2 * c),
        ({"contrast": 1.5}, lambda c: 0.5 + 1.5 * (c - 0.5)),
        ({"red": 0.5, "blue": 2.0}, lambda c: c * (0.5, 1, 2)),
        ({"saturation": 0.0}, lambda c: np.repeat((c @ (0.2126, 0.7152, 0.0722))[..., None], 3, -1)),
        ({"exposure": -2.2, "contrast": 2.0}, lambda c: 0.5 + 2 * (c / 2 - 0.5)),
    ],
)
def test_colours_change_alike_from_all_sides(settings, expected) -> None:
    made = edited("color", **settings).cloud
    assert same(made, CLOUD, ~HALF)
    assert np.allclose(colors(made, DIRECTIONS)[HALF], expected(colors(CLOUD, DIRECTIONS)[HALF]), atol=1e-5)


def test_gamma_is_exact_for_the_mean_colour_and_to_first_order_around_it() -> None:
    plain = replace(CLOUD, sh=CLOUD.sh * np.float32(0.2))
    plain.sh[:, 0] = CLOUD.sh[:, 0]
    faint = replace(plain, sh=np.concatenate([plain.sh[:, :1], plain.sh[:, 1:] * np.float32(1e-2)], 1))
    made = edited("color", None, faint, gamma=2.0).cloud
    seen = colors(faint, DIRECTIONS)
    assert np.allclose(colors(made, DIRECTIONS), np.sqrt(seen), atol=1e-4)
    dark = replace(faint, sh=np.full_like(faint.sh, -1.8))
    assert np.isfinite(edited("color", None, dark, gamma=10.0).cloud.sh).all()


def test_opacity_and_size_do_what_they_say() -> None:
    def opacities(cloud: SplatCloud) -> np.ndarray:
        return 1 / (1 + np.exp(-cloud.opacity_logits.astype(np.float64)))

    fainter = edited("opacity", value=0.25).cloud
    assert np.allclose(opacities(fainter)[HALF], opacities(CLOUD)[HALF] / 4, atol=1e-6) and same(fainter, CLOUD, ~HALF)
    assert np.allclose(opacities(edited("opacity", how="set", value=0.3).cloud)[HALF], 0.3, atol=1e-6)
    for value in (0.0, 100.0):
        assert np.isfinite(edited("opacity", value=value).cloud.opacity_logits).all()
    larger = edited("size", factor=3.0).cloud
    assert np.allclose(np.exp(larger.log_scales[HALF]), 3 * np.exp(CLOUD.log_scales[HALF]), rtol=1e-5)
    scales = np.exp(CLOUD.log_scales)
    cut = np.exp(edited("size", least=0.01, most=0.02).cloud.log_scales)
    assert np.allclose(cut[HALF], scales[HALF].clip(0.01, 0.02), rtol=1e-5) and np.array_equal(
        cut[~HALF], scales[~HALF]
    )
    with pytest.raises(UserError, match="no size"):
        edited("size", least=2.0, most=1.0)


def test_a_lower_degree_takes_the_fine_part_away() -> None:
    whole = edited("sh_degree", None, degree=1).cloud
    assert whole.sh_degree == 1 and np.array_equal(whole.sh, CLOUD.sh[:, :4])
    part = edited("sh_degree", degree=1).cloud
    assert part.sh_degree == 3 and not part.sh[HALF, 4:].any() and np.array_equal(part.sh[~HALF], CLOUD.sh[~HALF])
    assert edited("sh_degree", None, degree=4).cloud.sh_degree == 3


def test_the_ground_is_laid_level_through_the_origin() -> None:
    tilt = Rotation.from_rotvec([0.5, 0.1, -0.3]).as_matrix()
    flat = np.array([[0, 0, 3.0], [2, 0, 3], [0, 2, 3], [1, 1, 3]])
    for up in ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.0, 0.6, 0.8)):
        made = edited("set_ground", points=flat @ tilt.T, up=up)
        assert made.moved is not None
        heights = (flat @ tilt.T @ made.moved[:3, :3].T + made.moved[:3, 3]) @ up
        assert np.allclose(heights, 0, atol=1e-9) and np.isclose(np.linalg.det(made.moved[:3, :3]), 1)
    assert np.allclose(made.cloud.means, CLOUD.means @ made.moved[:3, :3].T + made.moved[:3, 3], atol=1e-5)
    with pytest.raises(UserError, match="one line"):
        edited("set_ground", points=np.outer(np.arange(4), (1, 2, 3)))


def test_axes_go_through_the_points() -> None:
    points = np.array([[1.0, 2, 3], [1, 5, 3], [0, 3, 3]])
    made = edited("set_axes", points=points, up=(0.0, 0.0, 1.0))
    assert made.moved is not None
    there = points @ made.moved[:3, :3].T + made.moved[:3, 3]
    assert np.allclose(there, [[0, 0, 0], [3, 0, 0], [1, 1, 0]], atol=1e-9)
    in_y_up = edited("set_axes", points=points, up=(0.0, 1.0, 0.0)).moved
    assert in_y_up is not None
    assert np.allclose(points @ in_y_up[:3, :3].T + in_y_up[:3, 3], [[0, 0, 0], [3, 0, 0], [1, 0, -1]], atol=1e-9)


def test_two_points_and_a_length_give_the_scale() -> None:
    made = edited("set_scale", points=np.array([[0.0, 0, 0], [0, 0, 4]]), length=1.0)
    assert np.allclose(made.cloud.means, CLOUD.means / 4, atol=1e-6)
    assert np.allclose(covariances(made.cloud), covariances(CLOUD) / 16, atol=1e-8)


def test_a_sphere_is_what_fits_into_the_box() -> None:
    matrix = np.diag([0.5, 2.0, 2.0, 1.0])
    made = edited("crop", None, box=Box(matrix), shape="sphere")
    assert np.array_equal(made.keep, np.linalg.norm(CLOUD.means / (0.5, 2, 2), axis=1) <= 1)
    strict = edited("crop", None, box=Box(matrix), shape="sphere", margin=2.0).keep
    assert 0 < strict.sum() < made.keep.sum() and not (strict & ~made.keep).any()
    assert not (edited("crop", box=Box(matrix), shape="sphere").keep & HALF & ~made.keep).any()


def test_what_is_hidden_is_left_alone() -> None:
    hidden = CLOUD.means[:, 2] > 0
    around = Box(np.diag([0.9, 9.0, 9.0, 1.0]))
    for more in ({}, {"selected": None}, {"selected": None, "box": around}):
        region = HALF if not more else np.abs(CLOUD.means[:, 0]) <= 0.9 if "box" in more else np.ones(600, bool)
        made = edited("opacity", value=0.5, hidden=hidden, **more)
        changed = made.cloud.opacity_logits != CLOUD.opacity_logits
        assert np.array_equal(changed, region & ~hidden)
        if "selected" not in more or "box" in more:
            assert np.array_equal(edited("delete", hidden=hidden, **more).keep, ~region | hidden)
    cropped = edited("crop", None, box=around, hidden=hidden).keep
    assert np.array_equal(cropped, (np.abs(CLOUD.means[:, 0]) <= 0.9) | hidden)
    with pytest.raises(UserError, match="No splats are selected"):
        edited("delete", hidden, hidden=hidden)


def test_a_mesh_encloses_also_where_it_is_open_or_turned_inside_out() -> None:
    made = trimesh.creation.icosphere(subdivisions=3, radius=0.8)
    vertices = (made.vertices + np.array([0.6, 0, 0])).astype(np.float32)
    faces = made.faces.astype(np.int32)
    within = np.linalg.norm(CLOUD.means - np.array([0.6, 0, 0]), axis=1)
    clear = np.abs(within - 0.79) > 0.02
    for some in (faces, faces[:, ::-1].copy(), faces[20:]):
        keep = edited("crop", None, mesh=TriangleMesh(vertices, some), shape="mesh").keep
        assert (keep == (within < 0.8))[clear].mean() > (0.97 if len(some) < len(faces) else 0.999)
    strict = edited("crop", None, mesh=TriangleMesh(vertices, faces), shape="mesh", margin=2.0).keep
    reach = 2 * np.exp(CLOUD.log_scales.max(axis=1))
    assert strict.any() and (within[strict] + reach[strict] < 0.8).all()
    assert strict[within + reach < 0.77].all()
    with pytest.raises(UserError, match="needs a mesh"):
        edited("crop", None, shape="mesh")


@pytest.mark.parametrize(
    "method", ["delete", "duplicate", "separate", "transform", "mirror", "color", "opacity", "size"]
)
def test_an_empty_selection_is_refused(method: str) -> None:
    with pytest.raises(UserError, match="No splats are selected"):
        edited(method, np.zeros(600, bool))


def test_what_would_leave_nothing_or_lacks_something_is_refused() -> None:
    everything = np.ones(600, bool)
    for method, selected, said in (
        ("delete", everything, "No splat would be left"),
        ("separate", everything, "No splat would be left"),
        ("delete", None, "No splats are selected"),
        ("join", None, "nothing to join"),
        ("set_ground", None, "needs 3 points"),
        ("set_scale", None, "needs 2 points"),
    ):
        with pytest.raises(UserError, match=said):
            edited(method, selected)
    with pytest.raises(UserError, match="flattens"):
        edited("transform", scale_x=0.0)
    with pytest.raises(UserError, match="one place"):
        edited("set_scale", points=np.zeros((2, 3)))
