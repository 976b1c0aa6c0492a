"""Maps of a scene: by numbers as a user gives them, through a plane, and from points that were picked in it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from shared_protocol.errors import UserError

_NEARLY = 1e-6  # of the longest distance among the points: nearer ones lie at one place, or on one line


def placed(
    *, move: tuple[float, float, float], turn: tuple[float, float, float], scale: tuple[float, float, float]
) -> np.ndarray:
    """Scale, then turn about x, y and z in this order, then move, as Blender does; [4, 4].

    turn: degrees about each axis.
    """
    x, y, z = (_turn_about(axis, math.radians(angle)) for axis, angle in enumerate(turn))
    matrix = np.eye(4)
    matrix[:3, :3] = z @ y @ x @ np.diag(scale)
    matrix[:3, 3] = move
    return matrix


def around(matrix: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """The same map, with its fixed point at the pivot [3] instead of at the origin; [4, 4]."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = -pivot, pivot
    return back @ matrix @ there


def mirrored(axis: int) -> np.ndarray:
    """Through the plane that an axis (0 = x, 1 = y, 2 = z) stands on at the origin; [4, 4]."""
    matrix = np.eye(4)
    matrix[axis, axis] = -1
    return matrix


def ground_through(points: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The map that lays the plane through the points [P, 3] flat, and through the origin; [4, 4], a rigid motion.

    up: [3], the direction that the ground shall face; the plane is turned by less than a right angle.
    Raises UserError for points on one line.
    """
    middle = points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(points - middle)
    if len(points) < 3 or sizes[1] <= _NEARLY * sizes[0]:
        raise UserError("bad_input", "The points lie on one line, so they are no ground.", "Pick one beside it.")
    normal = axes[2] * (-1 if axes[2] @ up < 0 else 1)
    matrix = np.eye(4)
    matrix[:3, :3] = turn_between(normal, up)
    matrix[:3, 3] = -up * (up @ (matrix[:3, :3] @ middle))
    return matrix


def axes_through(points: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The map that makes the first point the origin, puts the second to the right and the third level with them.

    points: [3, 3]; the third lies on the far side. up: [3], of unit length, where up is in the frame of the numbers;
    right is its x axis, as nearly as that is level. Returns [4, 4], a rigid motion. Raises UserError for points on one
    line.
    """
    origin, right, far = points
    x, y = right - origin, far - origin
    normal = np.cross(x, y)
    if not np.linalg.norm(normal) > _NEARLY * np.linalg.norm(x) * np.linalg.norm(y):
        raise UserError("bad_input", "The three points lie on one line.", "Pick the third beside it.")
    x, normal = x / np.linalg.norm(x), normal / np.linalg.norm(normal)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(level_axes(up), -1) @ np.stack([x, np.cross(normal, x), normal])
    matrix[:3, 3] = -matrix[:3, :3] @ origin
    return matrix


def scale_between(points: np.ndarray, length: float) -> np.ndarray:
    """The map that makes the distance of two points [2, 3] so long; [4, 4]. Raises UserError when they are one."""
    distance = float(np.linalg.norm(points[1] - points[0]))
    if not distance > 0:
        raise UserError("bad_input", "The two points lie at one place.", "Pick the ends of something of known length.")
    return np.diag([*[length / distance] * 3, 1.0])


def pivot_of(pivot: Literal["middle", "origin"], means: np.ndarray) -> np.ndarray:
    """[3]: the point of which half of the places [N, 3] lie on either side along each axis, or 0."""
    means = means[np.isfinite(means).all(axis=1)]
    if pivot == "origin" or not len(means):
        return np.zeros(3)
    return np.median(means, axis=0).astype(np.float64)


def level_axes(up: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, forward and up, [3] each, where up [3] is known, of unit length: right is the nearest level one to x."""
    first = np.eye(3)[0 if abs(up[0]) < 0.9 else 1]
    right = first - up * (up @ first)
    right /= np.linalg.norm(right)
    return right, np.cross(up, right), up


def turn_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The shortest turn that carries a unit vector [3] into another, [3, 3] (Rodrigues).

    Half a turn goes about any axis across.
    """
    axis, cosine = np.cross(one, other), float(one @ other)
    if cosine < -1 + 1e-12:
        across = np.cross(one, np.eye(3)[np.argmin(np.abs(one))])
        across /= np.linalg.norm(across)
        return 2 * np.outer(across, across) - np.eye(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def _turn_about(axis: int, angle: float) -> np.ndarray:
    """[3, 3], counter-clockwise seen from the axis's tip; radians."""
    matrix, (one, other) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
    matrix[one, one] = matrix[other, other] = math.cos(angle)
    matrix[other, one], matrix[one, other] = math.sin(angle), -math.sin(angle)
    return matrix
