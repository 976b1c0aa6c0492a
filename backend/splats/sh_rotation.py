"""Turns spherical harmonics with the thing they colour, exactly, by sampling the basis."""

from __future__ import annotations

import functools
import math

import numpy as np

from backend.splats.sh_basis import basis_functions

_DIRECTIONS = 24  # more than the 9 functions of the highest degree, so that they are told apart with ease
_CHUNK = 32_768  # splats at a time, which bounds the memory


def rotate_sh(sh: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Coefficients whose colour along R d is what the given ones have along d.

    sh: [N, K, 3] float32. rotations: [N, 3, 3], orthogonal; one that mirrors is as good. Returns [N, K, 3] float32.
    """
    degree = math.isqrt(sh.shape[1]) - 1
    turned = np.array(sh, np.float32)
    for start in range(0, len(sh) if degree else 0, _CHUNK):
        part = slice(start, start + _CHUNK)
        for own, mixing in zip(_bands(degree), sh_mixing(degree, rotations[part]), strict=True):
            turned[part, own] = mixing @ sh[part, own].astype(np.float64)
    return turned


def turn_all_sh(sh: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The same for one matrix [3, 3] that turns, or mirrors, all splats alike."""
    degree = math.isqrt(sh.shape[1]) - 1
    turned = np.array(sh, np.float32)
    if degree == 0:
        return turned
    matrices = [mixing[0].astype(np.float32) for mixing in sh_mixing(degree, np.asarray(rotation)[None])]
    for start in range(0, len(sh), _CHUNK):
        part = slice(start, start + _CHUNK)
        for own, mixing in zip(_bands(degree), matrices, strict=True):
            turned[part, own] = mixing @ sh[part, own]
    return turned


def sh_mixing(degree: int, rotations: np.ndarray) -> list[np.ndarray]:
    """What turning by R does to the coefficients of each degree from 1: [N, 2 l + 1, 2 l + 1] float64.

    The functions of one degree only mix among themselves: b(R d) = D(R) b(d), and D follows from a few directions d.
    """
    directions, inverses = _samples(degree)
    matrices = np.asarray(rotations, np.float64)
    moved = _basis(degree, np.einsum("nij,mj->nmi", matrices, directions))  # [N, M, K]
    return [
        np.einsum("km,nmj->njk", inverse, moved[..., own])
        for own, inverse in zip(_bands(degree), inverses, strict=True)
    ]


def _bands(degree: int) -> list[slice]:
    return [slice(band * band, (band + 1) ** 2) for band in range(1, degree + 1)]


def _basis(degree: int, directions: np.ndarray) -> np.ndarray:
    return np.stack(basis_functions(degree, *np.moveaxis(directions, -1, 0)), -1)


@functools.cache
def _samples(degree: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Directions spread over the sphere [M, 3], and for each degree from 1 the pseudo-inverse of the basis there."""
    index = np.arange(_DIRECTIONS) + 0.5
    height = 1 - 2 * index / _DIRECTIONS
    angle = np.pi * (1 + math.sqrt(5)) * index
    radius = np.sqrt(1 - height**2)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1)
    basis = _basis(degree, directions)
    return directions, tuple(np.linalg.pinv(basis[:, own]) for own in _bands(degree))
