"""The scene's depth as the renderer itself sees it, rendered before the picture, so that also hair hides splats.

It is rendered at twice the size with one sample in the middle of each pixel, which is four samples of each pixel of the
picture. An operator does it, because no render can be started inside a render; the depths of an animation wait in a
temporary folder.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from . import cameras, image_files, render_nodes
from .changed_settings import Setting, changed

_NOTHING = 1e9  # what is farther is no surface: Blender says 1e10
_FILE = "depth_"
_FRAME = re.compile(r"-?\d+$")

_folder: Path | None = None  # holds a file for each frame, while the picture is rendered
_is_rendering = False


def is_rendering() -> bool:
    """Whether what is rendered now is the depth, and not the picture."""
    return _is_rendering


def of_frame(frame: int) -> npt.NDArray[np.float32] | None:
    """[H, W, 4] distances along the viewing axis, infinity where nothing is; None = not rendered. Any thread."""
    path = None if _folder is None else _folder / f"{frame}.npy"
    return np.load(path, allow_pickle=False) if path is not None and path.is_file() else None


def begin(scene: bpy.types.Scene) -> ExitStack:
    """From now on a render of the scene is that of its depth. Closing the stack gives the scene back."""
    global _folder, _is_rendering
    forget()
    _folder = Path(tempfile.mkdtemp(prefix="splatwright-depth-"))
    stack = ExitStack()
    try:
        stack.callback(_end_rendering)
        stack.enter_context(changed(_settings(scene, _folder)))  # only then nodes know of a depth
        stack.enter_context(render_nodes.depth_written_to(scene, _folder, _FILE + "####"))
    except BaseException:
        stack.close()
        raise
    _is_rendering = True
    return stack


def read() -> None:
    """Takes what was rendered. Main thread. Raises RuntimeError when nothing was."""
    assert _folder is not None
    count = 0
    for path in _folder.glob(f"{_FILE}*.exr"):
        number = _FRAME.search(path.stem)
        if number is not None:
            np.save(_folder / f"{int(number[0])}.npy", _values(path))
            count += 1
        path.unlink()
    if not count:
        raise RuntimeError("Blender has written no depth")


def forget() -> None:
    global _folder
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)
    _folder = None


def _end_rendering() -> None:
    global _is_rendering
    _is_rendering = False


def _values(path: Path) -> npt.NDArray[np.float32]:
    """The file, which has two pixels for each of the picture along each side, as [H, W, 4]."""
    depth = image_files.first_channel(path)
    height, width = depth.shape
    quarters = depth.reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3).reshape(height // 2, width // 2, 4)
    return np.where((quarters > 0) & (quarters < _NOTHING), quarters, np.inf).astype(np.float32)


def _settings(scene: Any, folder: Path) -> list[Setting]:
    """The whole frame, twice as large, seen through the middle of each pixel, and sharp."""
    render, frame = scene.render, cameras.frame_of_scene(scene)
    settings: list[Setting] = [
        (render, "filepath", str(folder / "picture")),  # an animation writes its frames wherever it is told
        (render, "use_overwrite", True),
        (render, "resolution_x", 2 * frame.width),
        (render, "resolution_y", 2 * frame.height),
        (render, "resolution_percentage", 100),
        (render, "use_border", False),
        (render, "use_motion_blur", False),
        (render, "use_compositing", True),
        (render, "use_sequencer", False),
        (render, "use_multiview", False),
        (render, "filter_size", 0.0),
        *[(item.data.dof, "use_dof", False) for item in scene.objects if item.type == "CAMERA"],
        *[(layer, "use_pass_z", True) for layer in scene.view_layers],
        (scene.eevee, "taa_render_samples", 1),
    ]
    cycles = getattr(scene, "cycles", None)
    if cycles is not None:
        settings += [
            (cycles, "samples", 1),
            (cycles, "use_denoising", False),
            (cycles, "pixel_filter_type", "BLACKMAN_HARRIS"),
            (cycles, "filter_width", 0.01),
            (cycles, "max_bounces", 0),
        ]
    return settings
