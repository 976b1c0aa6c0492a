"""A texture for a mesh, from pictures that see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np

from backend.meshing.color_picture import ColorPicture
from backend.meshing.texels import NOBODY, faces_of_texels
from backend.splats.kernels import parallel_kernel
from backend.splats.mesh_texture import MeshTexture
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh

_BAND = 1 << 20  # pixels of the texture that are worked on at a time, which bounds the memory
_SLACK = 2.0  # pixels of a picture by which its depth of the mesh may be off
_STEEPEST = 8.0  # tangent: surfaces seen at a larger angle count as seen at this one
_LEAST_SLOPE = 0.1  # cosine: a picture that sees a place flatter than this tells no colour
_SHARPNESS = 4  # the power of the weight: the best pictures win, and neighbours still blend
_MARGIN = 64  # rows around a band from which its empty pixels may take their colour


@dataclass(frozen=True)
class Baked:
    texture: MeshTexture
    covered: float  # the part of the texture's surface that some picture saw; the rest has the vertices' colours


def bands(size: int) -> list[tuple[int, int]]:
    """First and last row (not included) of the parts in which a texture of this size is made."""
    rows = max(1, _BAND // size)
    return [(first, min(first + rows, size)) for first in range(0, size, rows)]


def bake(
    mesh: TriangleMesh,
    normals: np.ndarray,
    uvs: np.ndarray,
    size: int,
    pictures: Sequence[ColorPicture],
    *,
    after_each: Callable[[], object],
) -> Baked:
    """The mean colour of the pictures that see a place; those that see it large and straight count most.

    mesh: with colours, which unseen places get. normals: [V, 3] unit, outward. uvs: [F, 3, 2].
    A picture sees a place when no part of the mesh is nearer to its camera. after_each: called after the depth of each
    picture was drawn, and after each of the `bands`.
    """
    assert mesh.colors is not None
    depths = []
    for picture in pictures:
        depths.append(surface_depth(mesh.vertices, mesh.faces, picture.camera, near=_nearest(mesh, picture)))
        after_each()
    image, filled = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), bool)
    surface = seen = 0
    for first, last in bands(size):
        faces, shares = faces_of_texels(uvs, size, first, last)
        rows, columns = np.nonzero(faces != NOBODY)
        chosen, two = faces[rows, columns], shares[rows, columns]
        weights = np.concatenate([two, 1 - two.sum(axis=1, keepdims=True)], 1).astype(np.float64)
        corners = mesh.faces[chosen]
        places = _mixed(mesh.vertices, corners, weights)
        facing = _mixed(normals, corners, weights)
        facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
        total, weight = np.zeros((len(places), 3)), np.zeros(len(places))
        for picture, depth in zip(pictures, depths, strict=True):
            _add(places, facing, picture, depth, total, weight)
        is_seen = weight > 0
        colors = _mixed(mesh.colors, corners, weights)
        colors[is_seen] = total[is_seen] / weight[is_seen, None]
        image[first + rows, columns] = np.rint(colors).clip(0, 255)
        filled[first + rows, columns] = True
        surface, seen = surface + len(places), seen + int(is_seen.sum())
        after_each()
    return Baked(MeshTexture(uvs, _dilated(image, filled)), seen / max(surface, 1))


def _mixed(values: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[V, C] values at corners [P, 3], mixed by weights [P, 3]: [P, C] float64."""
    return np.einsum("pkc,pk->pc", values[corners].astype(np.float64), weights)


def _nearest(mesh: TriangleMesh, picture: ColorPicture) -> float:
    """A thousandth of the distance to the mesh's middle: faces nearer than this hang before the lens."""
    middle = mesh.vertices.astype(np.float64).mean(axis=0)
    return 1e-3 * float(np.linalg.norm(picture.camera.centre - middle))


def _dilated(image: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Empty pixels get the colour of the nearest one that has one, so that no filter mixes in what is not there."""
    size = len(image)
    made = image.copy()
    for first, last in bands(size):
        low, high = max(0, first - _MARGIN), min(size, last + _MARGIN)
        known = filled[low:high]
        if not known.any():
            continue
        away = (~known).astype(np.uint8)
        labels = np.asarray(cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1])
        labels = labels.astype(np.intp)
        color_of = np.zeros((labels.max() + 1, 3), np.uint8)
        color_of[labels[known]] = image[low:high][known]
        inside = slice(first - low, last - low)
        empty = ~known[inside]
        made[first:last][empty] = color_of[labels[inside][empty]]
    return made


def _add(
    places: np.ndarray,
    facing: np.ndarray,
    picture: ColorPicture,
    depth: np.ndarray,
    total: np.ndarray,
    weight: np.ndarray,
) -> None:
    camera = picture.camera
    counts = np.ones(depth.shape, bool) if picture.counts is None else picture.counts
    pose = np.ascontiguousarray(camera.camera_from_world[:3], np.float64)
    pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    color = np.ascontiguousarray(picture.color)
    _gather(places, facing, pose, camera.centre, pinhole, color, counts, depth, total, weight)


@parallel_kernel
def _gather(places, facing, pose, centre, pinhole, color, counts, depth, total, weight):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    for number in numba.prange(len(places)):  # type: ignore[attr-defined]
        x, y, z = places[number]
        along = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
        if along <= 0.0:
            continue
        u = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) / along * pinhole[0] + pinhole[2] - 0.5
        v = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) / along * pinhole[1] + pinhole[3] - 0.5
        if not (0.0 <= u < width - 1.0 and 0.0 <= v < height - 1.0):
            continue
        to_x, to_y, to_z = centre[0] - x, centre[1] - y, centre[2] - z
        distance = math.sqrt(to_x * to_x + to_y * to_y + to_z * to_z)
        slope = (facing[number, 0] * to_x + facing[number, 1] * to_y + facing[number, 2] * to_z) / distance
        if slope < _LEAST_SLOPE:
            continue
        left, top = int(u), int(v)
        pixel = along / pinhole[0]
        off = _SLACK * pixel * (1.0 + min(math.sqrt(1.0 - min(slope, 1.0) ** 2) / slope, _STEEPEST))
        is_seen = True
        for row in range(top, top + 2):
            for column in range(left, left + 2):
                # What lies behind the outline would bleed into it, so all four pixels must show this place.
                is_seen &= counts[row, column] and abs(depth[row, column] - along) <= off
        if not is_seen:
            continue
        right, down = u - left, v - top
        share = (slope / pixel) ** _SHARPNESS
        weight[number] += share
        for channel in range(3):
            upper = color[top, left, channel] * (1.0 - right) + color[top, left + 1, channel] * right
            lower = color[top + 1, left, channel] * (1.0 - right) + color[top + 1, left + 1, channel] * right
            total[number, channel] += share * (upper * (1.0 - down) + lower * down)
