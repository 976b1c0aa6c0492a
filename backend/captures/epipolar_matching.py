"""Matches features between two photos whose poses are known: only along the line where the match must lie.

A point, its two pictures and both cameras lie in one plane. Every feature gets the angle of its plane around the line
through the cameras; features that belong together have the same angle, so few of all the pairs must be compared.
"""

from __future__ import annotations

import numba
import numpy as np

from backend.captures.features import Features
from backend.splats.cameras import Camera

_TOLERANCE = 2.0  # pixels from the epipolar line
_NEAREST_EPIPOLE = 0.1  # sine of the angle to the other camera; what is closer would be triangulated badly
_SQUARED_LENGTH = 512.0**2  # of a descriptor
_SQUARED_RATIO = 0.8**2  # best distance against second best on the line
_FARTHEST = 0.7**2 * _SQUARED_LENGTH  # squared distance between descriptors that may still match


def match_along_epipolar_lines(first: Features, camera: Camera, second: Features, other: Camera) -> np.ndarray:
    """Mutually best matches, [M, 2] int32 indices into the features. The cameras are those of the photos' pixels."""
    baseline = other.centre - camera.centre
    distance = float(np.linalg.norm(baseline))
    if distance == 0 or len(first) == 0 or len(second) == 0:
        return np.zeros((0, 2), np.int32)
    axis = baseline / distance
    side = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(axis, side), axis])
    angles, widths = _planes(first, camera, frame)
    other_angles, other_widths = _planes(second, other, frame)
    order = np.argsort(other_angles, kind="stable")
    matches = _match(
        angles, widths, first.descriptors, other_angles[order], other_widths[order], second.descriptors[order]
    )
    matches[:, 1] = order[matches[:, 1]]
    return matches


def _planes(features: Features, camera: Camera, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle of each feature's plane around the baseline and what `_TOLERANCE` pixels are worth there, [F] radians.

    The width is negative for features that look along the baseline, where the plane is not defined.
    """
    pixels = features.keypoints[:, :2].astype(np.float64)
    rays = np.concatenate(
        [(pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy), np.ones((len(pixels), 1))], axis=1
    )
    length = np.linalg.norm(rays, axis=1)
    across = (rays / length[:, None]) @ camera.camera_from_world[:3, :3] @ frame[:2].T
    off_axis = np.hypot(across[:, 0], across[:, 1])
    widths = _TOLERANCE / (camera.fx * length * np.maximum(off_axis, _NEAREST_EPIPOLE))
    widths[off_axis < _NEAREST_EPIPOLE] = -1.0
    return np.arctan2(across[:, 1], across[:, 0]), widths


@numba.njit(nogil=True, cache=True)
def _match(
    angles: np.ndarray, widths: np.ndarray, descriptors: np.ndarray,
    other_angles: np.ndarray, other_widths: np.ndarray, other_descriptors: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """`other_angles` ascend."""
    count, other_count = len(angles), len(other_angles)
    best = np.full(count, -1, np.int32)
    best_distance = np.full(count, np.inf, np.float32)
    second_distance = np.full(count, np.inf, np.float32)
    best_of_other = np.full(other_count, -1, np.int32)
    distance_of_other = np.full(other_count, np.inf, np.float32)
    widest = max(0.0, other_widths.max())
    for i in range(count):
        if widths[i] < 0:
            continue
        reach = 0.5 * (widths[i] + widest)
        for turn in range(-1, 2):  # angles just below pi and just above -pi are neighbours
            centre = angles[i] + 2 * np.pi * turn
            if centre + reach < -np.pi or centre - reach > np.pi:
                continue
            j = np.searchsorted(other_angles, centre - reach)
            while j < other_count and other_angles[j] <= centre + reach:
                if other_widths[j] > 0 and abs(other_angles[j] - centre) <= 0.5 * (widths[i] + other_widths[j]):
                    dot = np.int32(0)
                    for k in range(128):
                        dot += np.int32(descriptors[i, k]) * np.int32(other_descriptors[j, k])
                    distance = np.float32(2 * _SQUARED_LENGTH - 2.0 * dot)
                    if distance < best_distance[i]:
                        second_distance[i] = best_distance[i]
                        best_distance[i] = distance
                        best[i] = j
                    elif distance < second_distance[i]:
                        second_distance[i] = distance
                    if distance < distance_of_other[j]:
                        distance_of_other[j] = distance
                        best_of_other[j] = i
                j += 1
    matches = np.empty((count, 2), np.int32)
    found = 0
    for i in range(count):
        good = best_distance[i] < _FARTHEST and best_distance[i] < _SQUARED_RATIO * second_distance[i]
        if good and best_of_other[best[i]] == i:
            matches[found, 0], matches[found, 1] = i, best[i]
            found += 1
    return matches[:found]
