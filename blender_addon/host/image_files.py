"""Numbers out of image files that Blender has rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt


def first_channel(path: Path) -> npt.NDArray[np.float32]:
    """[H, W], as they are in the file, the highest row first."""
    image: Any = bpy.data.images.load(str(path))
    try:
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        values = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(values)
    finally:
        bpy.data.images.remove(image)
    return values.reshape(height, width, 4)[::-1, :, 0]  # Blender's rows run upward
