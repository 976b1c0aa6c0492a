"""The colours that say how splats hang on their mesh."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from backend.rigging.quality import FAR_COLOR, UNBOUND_COLOR, BindingQuality, quality_colors
from backend.splats.deformation import greatest_eigenvalues
from tests.unit.rigging.test_bound import CAMERA, TURN, bound, cloud_of, icosphere, picture

FINE, YELLOW, RED = (0.2, 0.75, 0.3), (0.95, 0.85, 0.15), (0.9, 0.1, 0.1)


def colors_of(shown) -> np.ndarray:
    splats = BindingQuality(shown).splats(CAMERA, 0.0, 0)
    assert splats.sh_degree is None and isinstance(splats.colors, Tensor)
    return splats.colors.numpy()


def test_a_turned_mesh_is_fine_and_a_stretched_one_is_not() -> None:
    rest = bound(cloud_of(2))
    vertices = rest.binding.mesh.vertices
    assert np.allclose(colors_of(rest), FINE)
    assert np.allclose(colors_of(rest.posed((vertices @ TURN.T).astype(np.float32))), FINE, atol=1e-3)
    assert np.allclose(colors_of(rest.posed((vertices * (1, 1, 1.5)).astype(np.float32)))[:, 2].min(), 0.15, atol=0.02)
    along = colors_of(rest.posed((3 * vertices @ TURN.T).astype(np.float32)))
    assert np.allclose(along, RED)
    assert np.allclose(colors_of(rest.posed((0.5 * vertices).astype(np.float32))), FINE), "nothing has become longer"


def test_far_and_unbound_splats_have_colours_of_their_own() -> None:
    cloud = cloud_of(0)
    half = icosphere()
    half.vertices[:, 2] = np.minimum(half.vertices[:, 2], 0)
    for far, color in (("follow", FAR_COLOR), ("stay", UNBOUND_COLOR)):
        rest = bound(cloud, half, distance=0.05, far=far)
        colors = colors_of(rest.posed((half.vertices * 3).astype(np.float32)))
        chosen = cloud.means[:, 2] > 0.5
        assert np.allclose(colors[chosen], color)
        assert np.allclose(colors[cloud.means[:, 2] < -0.1], RED)


def test_a_picture_shows_those_colours_where_the_splats_are() -> None:
    rest = bound(cloud_of(3))
    plain, shown = picture(rest), picture(BindingQuality(rest))
    inner = plain.max(axis=2) > 0.4
    assert inner.sum() > 300
    assert np.abs(shown[inner] - np.array(FINE) * (shown[inner].sum(1, keepdims=True) / sum(FINE))).max() < 0.02
    assert np.array_equal(BindingQuality(rest).bake().sh, rest.cloud.sh), "the splats keep their own"


def test_the_ramp_goes_by_yellow() -> None:
    binding = bound(cloud_of(0, 3)).binding
    assert quality_colors(binding, np.array([1.5, 1.25, 9.0])) == pytest.approx(
        np.array([YELLOW, np.add(FINE, YELLOW) / 2, RED]), abs=1e-6
    )


def test_greatest_eigenvalues_are_those_of_lapack() -> None:
    generator = np.random.default_rng(1)
    matrices = generator.normal(size=(2000, 3, 3))
    matrices = matrices @ matrices.transpose(0, 2, 1)
    matrices[:3] = np.eye(3), np.diag([2.0, 2, 1]), np.zeros((3, 3))
    assert np.allclose(greatest_eigenvalues(matrices), np.linalg.eigvalsh(matrices)[:, 2], atol=1e-9)
