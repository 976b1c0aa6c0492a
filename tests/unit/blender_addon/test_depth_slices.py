"""Slices of splats laid over each other give the splats; up to a surface they give what lies before it."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.core import depth_slices

DISTANCES = np.array([2.0, 2.5, 3.1, 4.0, 4.2])
ALPHAS = np.array([0.3, 0.5, 0.2, 0.9, 0.6])
COLORS = np.random.default_rng(1).uniform(size=(5, 3))


def blended(up_to: float) -> np.ndarray:
    """[1, 1, 4]: the splats that are not farther than this."""
    color, through = np.zeros(4), 1.0
    for distance, alpha, own in zip(DISTANCES, ALPHAS, COLORS, strict=True):
        if distance <= up_to:
            color += alpha * through * np.array([*own, 1])
            through *= 1 - alpha
    return color.reshape(1, 1, 4).astype(np.float32)


def over(layers: list[np.ndarray]) -> np.ndarray:
    result = np.zeros_like(layers[0])
    for layer in reversed(layers):
        result = layer + (1 - layer[..., 3:]) * result
    return result


def sliced(count: int) -> tuple[float, float, list[np.ndarray]]:
    mean, spread = np.full((1, 1), 3.2, np.float32), np.full((1, 1), 0.8, np.float32)
    first, thickness = (values.item() for values in depth_slices.edges(mean, spread, count))
    ends = [first + number * thickness for number in range(1, count)]
    return first, thickness, depth_slices.layers([*map(blended, ends), blended(np.inf)])


def test_all_slices_together_are_the_splats() -> None:
    first, thickness, layers = sliced(16)
    assert len(layers) == 16 and first < DISTANCES[0] and first + 16 * thickness > DISTANCES[-1]
    np.testing.assert_allclose(over(layers), blended(np.inf), atol=1e-5)


@pytest.mark.parametrize("number", range(1, 16))
def test_the_slices_before_a_surface_are_the_splats_before_it(number: int) -> None:
    first, thickness, layers = sliced(16)
    np.testing.assert_allclose(over(layers[:number]), blended(first + number * thickness), atol=1e-5)


def test_behind_what_lets_nothing_through_there_is_nothing() -> None:
    wall = np.array([0.2, 0.3, 0.4, 1.0], np.float32).reshape(1, 1, 4)
    layers = depth_slices.layers([np.zeros_like(wall), wall, wall + 1e-6])
    np.testing.assert_array_equal(layers[2], 0)
    np.testing.assert_allclose(over(layers), wall, atol=1e-6)


def test_a_skin_without_thickness_has_slices_all_the_same() -> None:
    first, thickness = depth_slices.edges(np.full((1, 1), 5.0, np.float32), np.zeros((1, 1), np.float32), 16)
    assert thickness > 0 and first < 5.0 < first + 16 * thickness
    image = depth_slices.range_image(first, thickness)
    assert image.dtype == np.float32 and image.shape == (1, 1, 4)
    assert (5.0 - image[..., 0]) * image[..., 1] == pytest.approx(8.0, rel=1e-2)
