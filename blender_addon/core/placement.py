"""How a new splat object is stood upright: photos know where up is, trained worlds need not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import things

_STRAIGHT = 1e-6  # how long a part across the axis counts as none


def upright(up: things.Direction) -> npt.NDArray[np.float64]:
    """The shortest rotation that turns `up` to +z, [3, 3]; none where up is unknown (zeros)."""
    direction = np.asarray(up, np.float64)
    length = float(np.linalg.norm(direction))
    if not np.isfinite(length) or length == 0:
        return np.eye(3)
    x, y, z = direction / length
    if np.hypot(x, y) < _STRAIGHT:  # along z already: exactly nothing, or half a turn about x
        return np.eye(3) if z > 0 else np.diag([1.0, -1.0, -1.0])
    # Rodrigues' formula about up x z = (y, -x, 0), whose length is the sine of the angle.
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + cross + cross @ cross / (1 + z)
