"""Draws one picture of a splat file, as colours or as depth, into an image file."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backend.captures import Capture, View, load_capture, photo_size, pixels_for_longer_side
from backend.captures.photos import undistorted_camera
from backend.jobs.device import DeviceChoice, choose_device
from backend.jobs.splat_files import read_to_draw
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io.atomic import write_bytes
from backend.splats.io.camera_file import read_camera
from backend.splats.rendering import CloudRenderer, Drawing
from backend.training.frame import SceneFrame
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)

TRANSPARENT = "transparent"
_NEAR_OF_SIZE = 1e-3  # the near plane without a capture, as a part of the cloud's size
_MOST_COUNTS = 65_535


@dataclass(frozen=True)
class PictureRequest:
    """Either `capture` and `view`, or `camera`, says where from."""

    splat: Path
    output: Path
    capture: Path | None = None
    view: str | None = None
    camera: Path | None = None
    resolution: int | None = None  # longer side in pixels; None = the camera's own
    depth: bool = False
    background: str = "black"  # or "transparent"
    near: float | None = None  # world units; None = chosen from the scene
    antialiased: bool | None = None  # None = as the file says
    device: DeviceChoice = "auto"


class PictureReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    width: int
    height: int
    splats: int
    device: str
    depth_range: tuple[float, float] | None = None  # nearest and farthest depth, world units
    depth_scale: float | None = None  # world units a count of a 16-bit PNG; 0 counts = nothing there


def render_picture(request: PictureRequest) -> PictureReport:
    """Renders and writes the picture, whole or not at all."""
    device = choose_device(request.device)
    suffix = request.output.suffix.lower()
    allowed = (".png", ".npy") if request.depth else (".png",)
    if suffix not in allowed:
        what = "Depth" if request.depth else "A picture"
        raise UserError("bad_input", f"{what} is written as {' or '.join(allowed)}, not as '{request.output.name}'.")
    if request.background != TRANSPARENT and background_color(request.background) is None:
        message = f"The background '{request.background}' is not a colour."
        raise UserError("bad_input", message, "Use transparent, black, white or a colour such as #80c0ff.")
    content, _ = read_to_draw(request.splat, request.antialiased)
    cloud = content.cloud
    camera, near = _viewpoint(request, cloud)
    renderer = CloudRenderer(cloud, device, antialiased=bool(content.antialiased))
    drawing = renderer.draw(camera, near=near, depth=request.depth)
    facts = PictureReport(
        output=str(request.output), width=camera.width, height=camera.height, splats=len(cloud), device=device
    )
    if request.depth:
        return _write_depth(request.output, drawing, facts)
    write_bytes(request.output, _png(_pixels(drawing, request.background)))
    return facts


def _viewpoint(request: PictureRequest, cloud: SplatCloud) -> tuple[Camera, float]:
    """The camera, and the near plane in world units."""
    if request.camera is not None:
        camera = read_camera(request.camera)
        if request.resolution is not None:
            scale = request.resolution / max(camera.width, camera.height)
            camera = camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
        near = _NEAR_OF_SIZE * _size(cloud)
    else:
        assert request.capture is not None and request.view is not None
        capture = load_capture(request.capture)
        for warning in capture.warnings:
            log.warning("%s", warning)
        camera = undistorted_camera(_view(capture, request.view))
        if request.resolution is not None:
            pixels = pixels_for_longer_side(capture, request.resolution)
            camera = camera.resized(*photo_size(camera.width, camera.height, max_pixels=pixels))
        points = None if capture.points is None else capture.points.positions
        frame = SceneFrame.around([view.camera for view in capture.train_views], points)
        near = TrainingSettings().near_plane * frame.extent
    return camera, near if request.near is None else request.near


def _view(capture: Capture, name: str) -> View:
    view = capture.view(name)
    if view is None:
        names = ", ".join(v.name for v in capture.views[:8])
        more = f" and {len(capture.views) - 8} more" if len(capture.views) > 8 else ""
        message = f"{capture.folder} has no view '{name}', or several that end so."
        raise UserError("not_found", message, f"Its views: {names}{more}.")
    return view


def _size(cloud: SplatCloud) -> float:
    """The diagonal of the box around the middle nine tenths of the splats, in world units."""
    if not len(cloud):
        return 1.0
    low, high = np.quantile(cloud.means, (0.05, 0.95), axis=0)
    return float(np.linalg.norm(high - low)) or 1.0


def _pixels(drawing: Drawing, background: str) -> np.ndarray:
    """uint8 [H, W, 3], or [H, W, 4] with straight alpha for a transparent background."""
    color = background_color(background) if background != TRANSPARENT else None
    if color is not None:
        picture = drawing.on(color)
        return np.rint(picture.cpu().numpy() * 255).astype(np.uint8)
    alpha = drawing.alpha.cpu().numpy()[..., None]
    premultiplied = drawing.color.cpu().numpy()
    straight = np.divide(premultiplied, alpha, out=np.zeros_like(premultiplied), where=alpha > 0)
    return np.rint(np.concatenate([straight, alpha], axis=-1).clip(0, 1) * 255).astype(np.uint8)


def _write_depth(output: Path, drawing: Drawing, facts: PictureReport) -> PictureReport:
    assert drawing.depth is not None
    depth = drawing.depth.cpu().numpy()
    depth = np.where(drawing.alpha.cpu().numpy() > 0, depth, 0).astype(np.float32)
    seen = depth[depth > 0]
    span = (float(seen.min()), float(seen.max())) if seen.size else None
    content = io.BytesIO()
    if output.suffix.lower() == ".npy":
        np.save(content, depth, allow_pickle=False)
        write_bytes(output, content.getvalue())
        return msgspec.structs.replace(facts, depth_range=span)
    scale = span[1] / _MOST_COUNTS if span else 1.0
    counts = np.rint(depth / scale).astype(np.uint16)
    counts[(depth > 0) & (counts == 0)] = 1
    write_bytes(output, _png(counts, {"depth_scale": repr(scale), "depth_unit": "world units a count; 0 = nothing"}))
    return msgspec.structs.replace(facts, depth_range=span, depth_scale=scale)


def _png(pixels: np.ndarray, texts: dict[str, str] | None = None) -> bytes:
    info = PngInfo()
    for name, text in (texts or {}).items():
        info.add_text(name, text)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", pnginfo=info)
    return content.getvalue()
