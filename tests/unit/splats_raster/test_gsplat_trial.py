from __future__ import annotations

import math
from typing import Any

import pytest
from torch import Tensor

from backend.splats.raster import brute_force, rasterization
from backend.splats.raster.gsplat_trial import complaint, differences, draw


@pytest.fixture(scope="module")
def truth() -> dict[str, Tensor]:
    return draw(rasterization, "cpu")


def test_a_rasterizer_that_draws_the_same_passes(truth: dict[str, Tensor]) -> None:
    figures = differences(truth, draw(brute_force.rasterization, "cpu"))
    assert complaint(figures) is None
    assert set(figures) >= {"picture", "alpha", "gradient of means", "gradient of colors"}


def test_the_scene_covers_a_good_part_of_the_picture(truth: dict[str, Tensor]) -> None:
    assert 0.2 < float(truth["alpha"].mean()) < 0.95
    assert all(float(value.norm()) > 0 for value in truth.values())


def test_a_rasterizer_that_draws_slightly_wrong_fails(truth: dict[str, Tensor]) -> None:
    def brighter(**options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        picture, alpha, info = rasterization(**options)
        return picture * 1.01, alpha, info

    assert "the picture differs" in str(complaint(differences(truth, draw(brighter, "cpu"))))


def test_a_rasterizer_with_wrong_gradients_fails(truth: dict[str, Tensor]) -> None:
    def frozen(**options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        options["quats"] = options["quats"] * 1.0 + 0.0 * options["means"].sum()
        options["scales"] = options["scales"].detach() * 0.95 + options["scales"] * 0.05
        return rasterization(**options)

    assert "gradient of scales" in str(complaint(differences(truth, draw(frozen, "cpu"))))


def test_not_a_number_is_a_difference() -> None:
    assert complaint({"picture": math.nan}) is not None
