"""The posed photos of a capture as a client is told of them."""

from __future__ import annotations

from pathlib import Path

from backend.captures import View, load_capture
from shared_protocol.messages import VIEWS_A_PAGE, CaptureViews
from shared_protocol.things import CapturedView, ViewCamera


def list_views(folder: Path, first: int) -> CaptureViews:
    """At most VIEWS_A_PAGE of them, by name, from the `first` on. Raises UserError for what is no posed capture."""
    capture = load_capture(folder)
    held_out = {view.name for view in capture.test_views}
    page = capture.views[first : first + VIEWS_A_PAGE]
    return CaptureViews(
        views=tuple(_listed(view, held_out=view.name in held_out) for view in page), total=len(capture.views)
    )


def _listed(view: View, *, held_out: bool) -> CapturedView:
    camera = view.camera
    return CapturedView(
        name=view.name,
        path=str(view.image_path.absolute()),
        camera=ViewCamera(
            camera_from_world=tuple(camera.camera_from_world.ravel().tolist()),
            fx=camera.fx,
            fy=camera.fy,
            cx=camera.cx,
            cy=camera.cy,
            width=camera.width,
            height=camera.height,
        ),
        distorted=any(view.distortion),
        held_out=held_out,
    )
