"""How far away the nearest of many opaque triangles is in every pixel: a z-buffer on the CPU."""

from __future__ import annotations

import math

import numba
import numpy as np

from backend.splats.cameras import Camera
from backend.splats.kernels import parallel_kernel, serial_kernel

SUB_SAMPLES = 2  # of a pixel along each side, where edges shall be smooth
_BAND = 16  # rows of pixels that one core fills at a time


def surface_depth_samples(vertices: np.ndarray, faces: np.ndarray, camera: Camera, *, near: float) -> np.ndarray:
    """The same at 2x2 places of each pixel, the centres of its quarters, row after row: [H, W, 4] float32."""
    finer = camera.resized(SUB_SAMPLES * camera.width, SUB_SAMPLES * camera.height)
    depth = surface_depth(vertices, faces, finer, near=near)
    quarters = depth.reshape(camera.height, SUB_SAMPLES, camera.width, SUB_SAMPLES).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(quarters).reshape(camera.height, camera.width, SUB_SAMPLES**2)


def surface_depth(vertices: np.ndarray, faces: np.ndarray, camera: Camera, *, near: float) -> np.ndarray:
    """Distance along the viewing axis through the centre of each pixel, exact for flat triangles.

    vertices: [V, 3] world. faces: int [F, 3]; both sides are opaque, and a face with NaN is not there.
    near: world units; what lies nearer is cut away, also in the middle of a face.
    Returns [H, W] float32 in world units, infinity where there is nothing.
    """
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    if not len(faces):
        return depth
    rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
    seen = np.ascontiguousarray(vertices.astype(np.float64) @ rotation.T + translation)
    pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    corners = np.ascontiguousarray(faces, np.int32)
    rows = np.empty((len(corners), 2), np.int32)
    _find_rows(seen, corners, pinhole, float(near), camera.orthographic, camera.height, rows)
    _fill(seen, corners, rows, pinhole, float(near), camera.orthographic, depth)
    return depth


@serial_kernel
def _cut_at(face, near, polygon):  # type: ignore[no-untyped-def]
    """Puts what of the face [3, 3] lies behind z = near into `polygon` [4, 3] and returns its number of corners."""
    count = 0
    for corner in range(3):
        here, there = face[corner], face[(corner + 1) % 3]
        if here[2] >= near:
            polygon[count] = here
            count += 1
        if (here[2] >= near) != (there[2] >= near):
            part = (near - here[2]) / (there[2] - here[2])
            for axis in range(3):
                polygon[count, axis] = here[axis] + part * (there[axis] - here[axis])
            polygon[count, 2] = near
            count += 1
    return count


@serial_kernel
def _fill_triangle(a, b, c, first_row, last_row, orthographic, depth):  # type: ignore[no-untyped-def]
    """a, b, c: pixel x, pixel y and what is linear across the picture: 1/z, or z when orthographic."""
    width = depth.shape[1]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if not abs(area) > 0.0:
        return
    left = max(min(a[0], b[0], c[0]) - 0.5, 0.0)
    right = min(max(a[0], b[0], c[0]) - 0.5, width - 1.0)
    top = max(min(a[1], b[1], c[1]) - 0.5, float(first_row))
    bottom = min(max(a[1], b[1], c[1]) - 0.5, last_row - 1.0)
    if left > right or top > bottom:
        return
    for row in range(math.ceil(top), int(bottom) + 1):
        y = row + 0.5
        for column in range(math.ceil(left), int(right) + 1):
            x = column + 0.5
            of_a = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
            of_b = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
            of_c = ((a[0] - x) * (b[1] - y) - (a[1] - y) * (b[0] - x)) / area
            if of_a >= 0.0 and of_b >= 0.0 and of_c >= 0.0:
                value = of_a * a[2] + of_b * b[2] + of_c * c[2]
                z = value if orthographic else 1.0 / value
                depth[row, column] = min(depth[row, column], z)


@parallel_kernel
def _find_rows(vertices, faces, pinhole, near, orthographic, height, rows):  # type: ignore[no-untyped-def]
    """The first and last row of pixels that a face may touch; all of them where it is cut at `near`."""
    for number in numba.prange(len(faces)):  # type: ignore[attr-defined]
        low, high = math.inf, -math.inf
        for corner in range(3):
            place = vertices[faces[number, corner]]
            if place[2] < near:
                low, high = 0.0, height - 1.0
                break
            row = (place[1] if orthographic else place[1] / place[2]) * pinhole[1] + pinhole[3]
            low, high = min(low, row), max(high, row)
        rows[number, 0] = int(min(max(low - 1.0, 0.0), height))
        rows[number, 1] = int(min(max(high + 1.0, -1.0), height))


@parallel_kernel
def _fill(vertices, faces, rows, pinhole, near, orthographic, depth):  # type: ignore[no-untyped-def]
    height = depth.shape[0]
    for band in numba.prange((height + _BAND - 1) // _BAND):  # type: ignore[attr-defined]
        first, last = band * _BAND, min((band + 1) * _BAND, height)
        face, polygon = np.empty((3, 3)), np.empty((4, 3))
        for number in range(len(faces)):
            if rows[number, 1] < first or rows[number, 0] >= last:
                continue
            is_finite = True
            for corner in range(3):
                for axis in range(3):
                    face[corner, axis] = vertices[faces[number, corner], axis]
                    is_finite &= math.isfinite(face[corner, axis])
            if not is_finite:
                continue
            count = _cut_at(face, near, polygon)
            if count < 3:
                continue
            for corner in range(count):
                scale = 1.0 if orthographic else 1.0 / polygon[corner, 2]
                polygon[corner, 0] = polygon[corner, 0] * scale * pinhole[0] + pinhole[2]
                polygon[corner, 1] = polygon[corner, 1] * scale * pinhole[1] + pinhole[3]
                if not orthographic:
                    polygon[corner, 2] = scale
            for corner in range(1, count - 1):
                _fill_triangle(polygon[0], polygon[corner], polygon[corner + 1], first, last, orthographic, depth)
