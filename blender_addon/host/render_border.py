"""The render border of a viewport: in "Rendered" shading Blender draws only within it, and so are splats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gpu

Rectangle = tuple[int, int, int, int]  # left, bottom, width, height in pixels of the region


def rectangle(context: Any) -> Rectangle | None:
    """The part of the region that Blender renders. None = all of it."""
    space, scene, region, region_3d = context.space_data, context.scene, context.region, context.region_data
    if space.shading.type != "RENDERED" or scene.render.engine == "BLENDER_WORKBENCH":
        return None
    left, bottom, right, top = 0.0, 0.0, float(region.width), float(region.height)
    if region_3d.view_perspective == "CAMERA":
        render, camera = scene.render, space.camera if space.use_local_camera else scene.camera
        if not render.use_border or camera is None:
            return None
        left, bottom, right, top = _frame(camera, scene, region, region_3d)
        shares = (render.border_min_x, render.border_min_y, render.border_max_x, render.border_max_y)
    elif space.use_render_border:
        names = ("min_x", "min_y", "max_x", "max_y")
        shares = tuple(getattr(space, f"render_border_{name}") for name in names)
    else:
        return None
    first = round(left + shares[0] * (right - left)), round(bottom + shares[1] * (top - bottom))
    last = round(left + shares[2] * (right - left)), round(bottom + shares[3] * (top - bottom))
    x, y = max(first[0], 0), max(first[1], 0)
    return x, y, max(min(last[0], region.width) - x, 0), max(min(last[1], region.height) - y, 0)


def _frame(camera: Any, scene: Any, region: Any, region_3d: Any) -> tuple[float, float, float, float]:
    """Where the camera's picture lies in its region: left, bottom, right, top in pixels."""
    seen = region_3d.perspective_matrix @ camera.matrix_world.normalized()
    corners = [seen @ corner.to_4d() for corner in camera.data.view_frame(scene=scene)]
    across = [(corner.x / corner.w + 1) / 2 * region.width for corner in corners]
    up = [(corner.y / corner.w + 1) / 2 * region.height for corner in corners]
    return min(across), min(up), max(across), max(up)


@contextmanager
def kept(context: Any) -> Iterator[None]:
    """What is drawn meanwhile stays within the border."""
    inside = rectangle(context)
    if inside is None:
        yield
        return
    gpu.state.scissor_set(*inside)
    gpu.state.scissor_test_set(True)
    try:
        yield
    finally:
        gpu.state.scissor_test_set(False)
