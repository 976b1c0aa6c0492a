"""Cameras and matrices as they come in messages."""

from __future__ import annotations

import numpy as np

from backend.splats.cameras import Camera
from shared_protocol.things import Matrix, ViewCamera


def camera_of(wanted: ViewCamera) -> Camera:
    return Camera(
        camera_from_world=matrix_of_wire(wanted.camera_from_world),
        fx=wanted.fx,
        fy=wanted.fy,
        cx=wanted.cx,
        cy=wanted.cy,
        width=wanted.width,
        height=wanted.height,
        orthographic=wanted.orthographic,
    )


def matrix_of_wire(numbers: Matrix) -> np.ndarray:
    """[4, 4] float64."""
    return np.array(numbers, np.float64).reshape(4, 4)
