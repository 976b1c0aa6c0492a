"""Cropping by a box that stands, turns and stretches as it likes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.editing.box import Box
from backend.editing.inputs import EditingInputs
from backend.methods.editing.crop import CropSettings, run
from backend.methods.job import QuietJob
from shared_protocol.errors import UserError
from tests.made_splats import sphere, with_shine

CLOUD = with_shine(sphere(1.0, 2000), 2)
TURNED = np.eye(4)
TURNED[:3, :3] = Rotation.from_rotvec([0.4, -0.9, 0.2]).as_matrix() @ np.diag([0.5, 2.0, 0.8])
TURNED[:3, 3] = (0.3, 0.1, -0.2)


def test_inside_and_outside_are_exact_and_complete() -> None:
    inside, outside = (
        run(CropSettings(keep=side), EditingInputs(CLOUD, Box(TURNED)), QuietJob()) for side in ("inside", "outside")
    )
    homogeneous = np.c_[CLOUD.means.astype(np.float64), np.ones(len(CLOUD))]
    within = (np.abs((homogeneous @ np.linalg.inv(TURNED).T)[:, :3]) <= 1).all(axis=1)
    assert 50 < within.sum() < len(CLOUD) - 50
    assert np.array_equal(inside.keep, within) and np.array_equal(outside.keep, ~within)
    assert np.array_equal(inside.cloud.sh, CLOUD.sh[within]) and np.array_equal(inside.cloud.means, CLOUD.means[within])


def test_a_margin_asks_for_whole_splats() -> None:
    box = Box.between(np.array([-2.0, -2, -0.5]), np.array([2.0, 2, 0.5]))
    loose, strict = (run(CropSettings(margin=m), EditingInputs(CLOUD, box), QuietJob()).keep for m in (0.0, 2.0))
    assert strict.sum() < loose.sum() and not (strict & ~loose).any()
    edge = np.abs(CLOUD.means[:, 2])
    assert edge[strict].max() < edge[loose].max() - 0.01


def test_what_cannot_be_a_box_is_refused() -> None:
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    endless = np.eye(4)
    endless[0, 3] = np.inf
    for matrix in (flat, endless):
        with pytest.raises(UserError):
            Box(matrix)
    with pytest.raises(UserError, match="needs a box"):
        run(CropSettings(), EditingInputs(CLOUD), QuietJob())
    with pytest.raises(UserError, match="No splat"):
        run(CropSettings(), EditingInputs(CLOUD, Box.between(np.full(3, 8.0), np.full(3, 9.0))), QuietJob())
