"""Our images, from which the compositor takes what belongs to the splats of a frame."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

COLOR = "Splatwright Render"
DEPTH = "Splatwright Depth"
SLICES = 16
RANGE = "Splatwright Depth Range"
_NOWHERE = 1e10  # how far away Blender says that nothing is


def slice_name(number: int) -> str:
    return f"Splatwright Slice {number + 1:02}"


def find(name: str) -> bpy.types.Image | None:
    return bpy.data.images.get(name)


def filled() -> list[Any]:
    """Our images that hold a picture."""
    names = {COLOR, DEPTH, RANGE, *map(slice_name, range(SLICES))}
    return [image for image in bpy.data.images if image.name in names and image.has_data and not image.library]


def made(name: str) -> bpy.types.Image:
    """The image of that name, made when it is not there: floats that no colour management touches."""
    found = find(name)
    if found is None:
        found = bpy.data.images.new(name, 1, 1, alpha=True, float_buffer=True, is_data=True)
        found.alpha_mode = "PREMUL"
        found.pixels.foreach_set([0.0] * 4)  # type: ignore[attr-defined]
    return found


def fill(name: str, values: npt.NDArray[np.float32]) -> None:
    """values: [H, W, 4]. Nothing happens where there is no such image. Any thread, inside a render."""
    target: Any = find(name)
    if target is None:
        return
    height, width = values.shape[:2]
    if target.source != "GENERATED":
        detach(target)
    if tuple(target.size) != (width, height):
        target.scale(width, height)
    target.pixels.foreach_set(np.ascontiguousarray(values[::-1], np.float32).ravel())  # Blender's rows run upward
    target.update()


def pixels(image: Any) -> npt.NDArray[np.float32]:
    """As `fill` takes them, [H, W, 4]."""
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, 4)[::-1]


def detach(image: Any) -> None:
    """From the file that holds it; it is one black pixel then."""
    image.filepath_raw = ""
    image.source = "GENERATED"


def depth_values(depth: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Distances [H, W] as an image [H, W, 4]; where there are no splats it says what Blender's own Z pass says."""
    values = np.ones((*depth.shape, 4), np.float32)
    values[..., :3] = np.where(alpha > 0, depth, _NOWHERE)[..., None]
    return values
