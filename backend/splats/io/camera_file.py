"""Reads a camera that a user wrote down as JSON.

    {"world_from_camera": [[...], [...], [...], [0, 0, 0, 1]], "fx": 500, "fy": 500, "cx": 320, "cy": 240,
     "width": 640, "height": 480}

The camera looks along +z with x to the right and y down (OpenCV); the centre of the first pixel is (0.5, 0.5).
`camera_from_world` may be given instead. `fy` defaults to `fx`, `cx` and `cy` to the middle of the picture.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from backend.splats.cameras import Camera
from shared_protocol.errors import UserError

_MOST_PIXELS_A_SIDE = 32_768
_HINT = "Give fx, width, height and world_from_camera (4 rows of 4 numbers)."


class _CameraFile(msgspec.Struct, forbid_unknown_fields=True):
    fx: float
    width: int
    height: int
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    world_from_camera: list[list[float]] | None = None
    camera_from_world: list[list[float]] | None = None


def read_camera(path: Path) -> Camera:
    """Raises UserError when the file is missing, lacks something, or holds numbers that make no camera."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError("not_found", f"The camera file '{path}' cannot be read: {error.strerror or error}.") from error
    try:
        found = msgspec.json.decode(content, type=_CameraFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError("bad_input", f"The camera file '{path}' is not valid: {error}.", _HINT) from error
    for name, value in (("width", found.width), ("height", found.height)):
        if not 1 <= value <= _MOST_PIXELS_A_SIDE:
            raise UserError("bad_input", f"The camera file '{path}' has a {name} of {value} pixels.", _HINT)
    fy = found.fx if found.fy is None else found.fy
    if not (found.fx > 0 and fy > 0):
        raise UserError("bad_input", f"The camera file '{path}' has a focal length that is not positive.", _HINT)
    return Camera(
        camera_from_world=_pose(path, found),
        fx=found.fx,
        fy=fy,
        cx=found.width / 2 if found.cx is None else found.cx,
        cy=found.height / 2 if found.cy is None else found.cy,
        width=found.width,
        height=found.height,
    )


def _pose(path: Path, found: _CameraFile) -> np.ndarray:
    """camera_from_world, [4, 4]."""
    if (found.world_from_camera is None) == (found.camera_from_world is None):
        message = f"The camera file '{path}' must have one of world_from_camera and camera_from_world."
        raise UserError("bad_input", message, _HINT)
    rows = found.camera_from_world if found.world_from_camera is None else found.world_from_camera
    if rows is None or [len(row) for row in rows] != [4, 4, 4, 4]:
        raise UserError("bad_input", f"The pose in the camera file '{path}' is not a 4 x 4 matrix.", _HINT)
    pose = np.array(rows, np.float64)
    rotation = pose[:3, :3]
    rigid = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0
    if not rigid or not np.allclose(pose[3], (0, 0, 0, 1), atol=1e-6):
        message = f"The pose in the camera file '{path}' is not a rotation and a position."
        raise UserError("bad_input", message, "Take scale and mirroring out of the matrix.")
    return pose if found.world_from_camera is None else np.linalg.inv(pose)
