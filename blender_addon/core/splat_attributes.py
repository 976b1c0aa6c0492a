"""Splats as point attributes, named and meant as those of the splats that Blender has of its own from 5.3 on, and back.

| attribute | per point |
|---|---|
| `position` | the centre |
| `scale` | standard deviations along the splat's own axes, no logarithms |
| `rotation` | quaternion w, x, y, z of length 1 |
| `radiance:base` | the coefficients of the constant harmonic in red, green, blue; the opacity 0..1 |
| `radiance:sh_0` .. | the further coefficients in red, green, blue, three a point and as in a 3DGS PLY |
| `selection`, `set:NAME` | 1 where a splat is selected, or in the set of that name, else 0; only written |
| `label`, `confidence` | the number of the object it was told apart as, -1 = none, and how sure that is; only written |

A colour is 0.5 + 0.2821 times the constant coefficient, in sRGB. Source: Blender 5.3, `source/blender/io/gsplat`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..protocol import errors, messages

POSITION, SCALE, ROTATION, BASE, HARMONIC = "position", "scale", "rotation", "radiance:base", "radiance:sh_"
SELECTION, SET = "selection", "set:"
WIDTHS = {POSITION: 3, SCALE: 3, ROTATION: 4, BASE: 4}  # numbers a point; harmonics have 3

_COEFFICIENTS = (1, 4, 9, 16, 25)  # of harmonics of degree 0..4
_THINNEST = 1e-13  # a splat that is flatter has no logarithm
_OPAQUE = 1 - 2.0**-24  # the largest opacity below 1 that float32 knows: 1 itself has no logit
_CLEAR = 1e-8

Columns = dict[str, np.ndarray]  # [N, width] float32 each


def to_columns(splats: messages.Splats) -> Columns:
    """The attributes of splats, each [N, 3] or [N, 4] float32."""
    lengths = np.linalg.norm(splats.quats, axis=1, keepdims=True)
    upright = np.array([1, 0, 0, 0], np.float32)
    opacities = 1 / (1 + np.exp(-splats.opacity_logits.astype(np.float64)))
    columns = {
        POSITION: splats.means,
        SCALE: np.exp(splats.log_scales),
        ROTATION: np.where(lengths > 0, splats.quats / np.maximum(lengths, 1e-30), upright),
        BASE: np.concatenate([splats.sh[:, 0], opacities[:, None]], axis=1),
        **{f"{HARMONIC}{k - 1}": splats.sh[:, k] for k in range(1, splats.sh.shape[1])},
    }
    return {name: np.ascontiguousarray(column, np.float32) for name, column in columns.items()}


def to_splats(columns: Mapping[str, np.ndarray]) -> messages.Splats:
    """The other way. Points without a size, or that hold NaN or Inf, are left out: nothing of them could be seen.

    Raises UserError when an attribute is missing, or nothing is left.
    """
    missing = [name for name in WIDTHS if name not in columns]
    if missing:
        hint = "Write Attributes makes them all; a node may have dropped it."
        raise errors.UserError("bad_input", f"The points have no attribute '{missing[0]}'.", hint)
    whole = (columns[SCALE] > 0).any(axis=1)
    for column in columns.values():
        whole &= np.isfinite(column).all(axis=1)
    if not whole.any():
        message = "None of the points is a splat: they have no size, or are broken."
        raise errors.UserError("bad_input", message, "Look at their attributes in the Spreadsheet.")
    quats, base = columns[ROTATION][whole], columns[BASE][whole]
    quats[~quats.any(axis=1)] = (1, 0, 0, 0)
    opacities = np.clip(base[:, 3].astype(np.float64), _CLEAR, _OPAQUE)
    further = _harmonics(columns)
    sh = np.empty((len(base), 1 + len(further), 3), np.float32)
    sh[:, 0] = base[:, :3]
    for k, name in enumerate(further):
        sh[:, k + 1] = columns[name][whole]
    return messages.Splats(
        means=columns[POSITION][whole],
        quats=quats,
        log_scales=np.log(np.maximum(columns[SCALE][whole], np.float32(_THINNEST))),
        opacity_logits=np.log(opacities / (1 - opacities)).astype(np.float32),
        sh=sh,
    )


def _harmonics(columns: Mapping[str, np.ndarray]) -> list[str]:
    """The names of the further harmonics, of as many degrees as are whole."""
    count = 0
    while f"{HARMONIC}{count}" in columns:
        count += 1
    whole = max(number - 1 for number in _COEFFICIENTS if number - 1 <= count)
    return [f"{HARMONIC}{k}" for k in range(whole)]
