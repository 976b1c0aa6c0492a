"""Which way is up in a capture, so that what was trained on it can be stood upright."""

from __future__ import annotations

import numpy as np

from backend.captures import Capture

_AGREEING = 0.3  # length of the mean of unit vectors; cameras that agree less say nothing
_Z_IS_UP = ("transforms",)  # dialects whose files have z up by custom
_NEARLY = 0.7  # cosine; cameras that lean more from that axis know better than the custom
_UNKNOWN = (0.0, 0.0, 0.0)


def upward(capture: Capture) -> tuple[float, float, float]:
    """What the capture's files say is up, else the mean upward direction of its cameras; zeros when there is none.

    A unit vector in the capture's frame.
    """
    if capture.up is not None:
        return capture.up
    if not capture.views:
        return _UNKNOWN
    mean = -np.mean([view.camera.camera_from_world[1, :3] for view in capture.views], axis=0)  # image y is down
    length = float(np.linalg.norm(mean))
    if not length > _AGREEING:
        return _UNKNOWN
    x, y, z = (mean / length).tolist()
    return (0.0, 0.0, 1.0) if capture.dialect in _Z_IS_UP and z > _NEARLY else (x, y, z)
