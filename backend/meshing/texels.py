"""Which face of a mesh each pixel of its texture belongs to, and where on it."""

from __future__ import annotations

import math

import numpy as np

from backend.splats.kernels import serial_kernel

NOBODY = -1


def faces_of_texels(uvs: np.ndarray, size: int, first_row: int, last_row: int) -> tuple[np.ndarray, np.ndarray]:
    """For rows first_row to last_row (not included) of a square texture, through the centre of each pixel.

    uvs: [F, 3, 2], v upward. Returns faces int32 [R, size], NOBODY between charts, and the share of the first two
    corners in each place, float32 [R, size, 2].
    """
    faces = np.full((last_row - first_row, size), NOBODY, np.int32)
    shares = np.zeros((*faces.shape, 2), np.float32)
    places = uvs.astype(np.float64) * size
    places[..., 1] = size - places[..., 1]
    _fill(np.ascontiguousarray(places), first_row, faces, shares)
    return faces, shares


@serial_kernel
def _fill(places, first_row, faces, shares):  # type: ignore[no-untyped-def]
    rows, width = faces.shape
    for number in range(len(places)):
        a, b, c = places[number]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if not abs(area) > 0.0:
            continue
        top = max(math.ceil(min(a[1], b[1], c[1]) - 0.5), first_row)
        bottom = min(math.floor(max(a[1], b[1], c[1]) - 0.5), first_row + rows - 1)
        left = max(math.ceil(min(a[0], b[0], c[0]) - 0.5), 0)
        right = min(math.floor(max(a[0], b[0], c[0]) - 0.5), width - 1)
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                of_a = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
                of_b = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
                if of_a >= 0.0 and of_b >= 0.0 and of_a + of_b <= 1.0:
                    faces[row - first_row, column] = number
                    shares[row - first_row, column, 0] = of_a
                    shares[row - first_row, column, 1] = of_b
