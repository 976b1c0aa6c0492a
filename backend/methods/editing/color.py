"""Changes the colours of splats, from whatever side they are seen."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import ColorChange, SplatChange
from shared_protocol.schema import setting

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # of Rec. 709
_DISPLAY_GAMMA = 2.2  # a stop of light is this root of two in sRGB values, nearly


class ColorSettings(msgspec.Struct, frozen=True, kw_only=True):
    exposure: Annotated[float, setting("Exposure", "Brighter or darker.", minimum=-10, maximum=10, unit="stops")] = 0.0
    contrast: Annotated[float, setting("Contrast", "Distance of colours from middle grey.", minimum=0, maximum=10)] = (
        1.0
    )
    saturation: Annotated[
        float, setting("Saturation", "Distance of colours from grey of their own brightness.", minimum=0, maximum=10)
    ] = 1.0
    red: Annotated[float, setting("Red", "Tint: red is multiplied by this.", minimum=0, maximum=10)] = 1.0
    green: Annotated[float, setting("Green", "Tint: green is multiplied by this.", minimum=0, maximum=10)] = 1.0
    blue: Annotated[float, setting("Blue", "Tint: blue is multiplied by this.", minimum=0, maximum=10)] = 1.0
    gamma: Annotated[
        float, setting("Gamma", "Above 1 the middle tones become brighter, below darker.", minimum=0.1, maximum=10)
    ] = 1.0


@method(
    label="Color", help="Exposure, tint, contrast, saturation and gamma, in this order; highlights and sheens go along."
)
def run(config: ColorSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    inputs.chosen()
    job.progress(1, 2)
    result = EditingResult.changed(inputs, SplatChange(inputs.region(), color=_change(config)))
    job.progress(2, 2)
    return result


def _change(config: ColorSettings) -> ColorChange:
    gain = 2 ** (config.exposure / _DISPLAY_GAMMA)
    tint = gain * np.diag([config.red, config.green, config.blue])
    saturation = config.saturation * np.eye(3) + (1 - config.saturation) * np.outer(np.ones(3), _LUMA)
    grey = 0.5 * (1 - config.contrast) * np.ones(3)
    return ColorChange(np.c_[saturation @ (config.contrast * tint), saturation @ grey], 1 / config.gamma)
