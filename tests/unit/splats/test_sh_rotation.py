"""Turned spherical harmonics against their definition: the colour along R d is what it was along d."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.splats.deformation import rotation_part
from backend.splats.quaternions import matrices_to_quats, quats_to_matrices
from backend.splats.sh_rotation import rotate_sh
from backend.splats.spherical_harmonics import sh_basis

TURNS = Rotation.random(300, random_state=3).as_matrix()


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_colours_turn_with_the_splat(degree: int) -> None:
    sh = np.random.default_rng(degree).normal(size=(300, (degree + 1) ** 2, 3)).astype(np.float32)
    directions = torch.nn.functional.normalize(torch.randn(300, 3, dtype=torch.float64), dim=-1)
    turned = torch.einsum("nij,nj->ni", torch.tensor(TURNS), directions)

    def color(along: torch.Tensor, coefficients: np.ndarray) -> torch.Tensor:
        return (sh_basis(degree, along)[..., None] * torch.tensor(coefficients, dtype=torch.float64)).sum(1)

    assert (color(turned, rotate_sh(sh, TURNS)) - color(directions, sh)).abs().max() < 1e-6


def test_turning_back_gives_the_same_coefficients() -> None:
    sh = np.random.default_rng(9).normal(size=(300, 16, 3)).astype(np.float32)
    back = rotate_sh(rotate_sh(sh, TURNS), TURNS.transpose(0, 2, 1))
    assert np.abs(back - sh).max() < 1e-5
    assert np.array_equal(rotate_sh(sh, TURNS)[:, 0], sh[:, 0])


def test_quaternions_hold_every_rotation() -> None:
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3)).as_matrix()
    turns = np.concatenate([TURNS, half_turns, np.eye(3)[None]])
    assert np.abs(quats_to_matrices(matrices_to_quats(turns)) - turns).max() < 1e-12


def test_the_rotation_of_a_mirroring_map_is_still_a_rotation() -> None:
    maps = np.random.default_rng(0).normal(size=(200, 3, 3))
    turns = rotation_part(maps)
    assert np.allclose(np.linalg.det(turns), 1) and np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(rotation_part(TURNS @ np.diag([2.0, 1.0, 0.5])), TURNS)
