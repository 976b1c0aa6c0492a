"""Splats as Blender's attributes: named and meant as in 5.3, and the same splats when they come back."""

from __future__ import annotations

import numpy as np
import pytest

from backend.store.payload import cloud_to_arrays
from blender_addon.core import splat_attributes
from shared_protocol.errors import UserError
from shared_protocol.messages import Splats
from tests.made_splats import sphere, with_shine

C0 = 0.28209479177387814  # of the constant harmonic


def made(degree: int) -> Splats:
    return Splats(**cloud_to_arrays(with_shine(sphere(count=60), degree)))


@pytest.mark.parametrize("degree", range(5))
def test_what_is_written_comes_back(degree: int) -> None:
    splats = made(degree)
    columns = splat_attributes.to_columns(splats)
    names = {"position", "scale", "rotation", "radiance:base"}
    assert set(columns) == names | {f"radiance:sh_{k}" for k in range((degree + 1) ** 2 - 1)}
    again = splat_attributes.to_splats(columns)
    for name in ("means", "log_scales", "sh", "opacity_logits"):
        np.testing.assert_allclose(getattr(again, name), getattr(splats, name), atol=1e-5)
    np.testing.assert_allclose(again.quats, splats.quats / np.linalg.norm(splats.quats, axis=1)[:, None], atol=1e-6)


def test_the_numbers_mean_what_blender_means_by_them() -> None:
    columns = splat_attributes.to_columns(made(1))
    colors = 0.5 + C0 * columns["radiance:base"][:, :3]
    assert np.allclose(colors[0], (0.9, 0.1, 0.1), atol=1e-6) and np.allclose(colors[-1], (0.1, 0.1, 0.9), atol=1e-6)
    np.testing.assert_allclose(columns["radiance:base"][:, 3], 1 / (1 + np.exp(-4.0)), rtol=1e-6)
    np.testing.assert_allclose(columns["scale"][:, 2] / columns["scale"][:, 0], 0.08, rtol=1e-5)  # no logarithms
    np.testing.assert_allclose(np.linalg.norm(columns["rotation"], axis=1), 1, rtol=1e-6)


def test_points_that_nodes_added_without_a_size_are_no_splats_and_odd_values_stay_finite() -> None:
    columns = splat_attributes.to_columns(made(0))
    columns["scale"][:20] = 0
    columns["position"][20] = np.nan
    columns["rotation"][21] = 0
    columns["radiance:base"][22, 3], columns["radiance:base"][23, 3] = 1.5, -1
    columns["scale"][24, 2] = 0
    splats = splat_attributes.to_splats(columns)
    assert len(splats.means) == 39
    assert all(np.isfinite(getattr(splats, name)).all() for name in ("quats", "log_scales", "opacity_logits"))
    assert tuple(splats.quats[0]) == (1, 0, 0, 0) and splats.opacity_logits[1] > 15 and splats.opacity_logits[2] < -15


def test_harmonics_are_taken_as_far_as_their_degrees_are_whole() -> None:
    columns = splat_attributes.to_columns(made(2))
    del columns["radiance:sh_6"]
    assert splat_attributes.to_splats(columns).sh.shape[1] == 4


def test_what_is_missing_is_named() -> None:
    columns = splat_attributes.to_columns(made(0))
    with pytest.raises(UserError, match="None of the points is a splat"):
        splat_attributes.to_splats({name: column[:0] for name, column in columns.items()})
    del columns["rotation"]
    with pytest.raises(UserError, match="have no attribute 'rotation'"):
        splat_attributes.to_splats(columns)
