"""Turns views into pictures to train on: undistorted, resized, with what masks and alpha say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from backend.captures.capture import Capture, MaskUse, Photo, View
from backend.captures.image_files import decode, decode_mask
from backend.captures.threads import Progress, in_threads
from backend.splats.cameras import Camera
from shared_protocol.errors import UserError

_RGBA = 4


def photo_size(width: int, height: int, *, max_pixels: int) -> tuple[int, int]:
    """Width and height of the same aspect with about `max_pixels` pixels, never larger than the photo."""
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def pixels_for_longer_side(capture: Capture, longer_side: int) -> int:
    """The number of pixels of the largest photo when its longer side is `longer_side`."""
    if longer_side < 1:
        raise UserError("bad_input", f"The resolution must be at least 1 pixel, not {longer_side}.")
    largest = max(capture.views, key=lambda view: view.camera.width * view.camera.height).camera
    width, height = largest.width, largest.height
    return -(-longer_side * longer_side * min(width, height) // max(width, height))


def read_photos(
    views: Sequence[View],
    *,
    max_pixels: int,
    masks: MaskUse,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Photo]:
    """The views' photos, undistorted and with about `max_pixels` pixels each, in the order of `views`.

    Distorted photos are cut to the largest pinhole picture that has no empty pixel.
    Raises UserError for a photo or mask that cannot be read, or that the mask use needs and is not there.
    """
    progress = Progress(len(views), on_progress)
    return in_threads(lambda view: _read_photo(view, max_pixels, masks), views, after_each=progress.step)


def undistorted_camera(view: View) -> Camera:
    """The pinhole camera of the view's undistorted photo at full size."""
    if not any(view.distortion):
        return view.camera
    fx, fy, cx, cy = _pinhole_inside(view.camera.width, view.camera.height, _intrinsics(view.camera), view.distortion)
    return replace(view.camera, fx=fx, fy=fy, cx=cx, cy=cy)


def _read_photo(view: View, max_pixels: int, masks: MaskUse) -> Photo:
    picture = decode(view.image_path, upright=view.turn_by_exif)
    height, width = picture.shape[:2]
    if (width, height) != (view.camera.width, view.camera.height):
        raise UserError("bad_input", f"{view.image_path} changed its size while it was read.", "Start again.")
    size = photo_size(width, height, max_pixels=max_pixels)
    camera = undistorted_camera(view).resized(*size)

    rgb, own_alpha = picture[..., :3], picture[..., 3] if picture.shape[2] == _RGBA else None
    alpha = _alpha(view, own_alpha, masks)
    if alpha is not None:
        rgb, alpha = _resized_with_alpha(view, rgb, alpha, size)
    else:
        rgb = _resized(view, np.ascontiguousarray(rgb), size)
    weight = None
    if masks == "ignore":
        inside = _mask(view)
        weight = np.full(rgb.shape[:2], 255, np.uint8) if inside is None else _resized(view, inside, size)
    return Photo(view.name, camera, rgb, alpha, weight)


def _alpha(view: View, own_alpha: np.ndarray | None, masks: MaskUse) -> np.ndarray | None:
    """Transparency at full size, or None where it is not used."""
    if masks == "alpha":
        return own_alpha if own_alpha is not None else np.full((view.camera.height, view.camera.width), 255, np.uint8)
    if masks == "segment":
        alpha = _mask(view)
        alpha = own_alpha if alpha is None else alpha
        if alpha is None:
            raise UserError(
                "bad_input",
                f"{view.image_path} has no mask, but masks say what the object is.",
                f"Add masks/{view.image_path.stem}.png, or use --masks ignore.",
            )
        return alpha
    return None


def _mask(view: View) -> np.ndarray | None:
    """The view's mask at the photo's full size, 255 = inside; None where the view has no mask file."""
    if view.mask_path is None:
        return None
    mask = decode_mask(view.mask_path)
    height, width = mask.shape
    wanted = (view.camera.width, view.camera.height)
    if abs(wanted[1] * width / wanted[0] - height) > 1.0:
        raise UserError(
            "bad_input",
            f"{view.mask_path} is {width} x {height} pixels, but its photo is {wanted[0]} x {wanted[1]}.",
            "Make the mask from the photo it belongs to.",
        )
    shrinks = width >= wanted[0]
    return mask if (width, height) == wanted else cv2.resize(
        mask, wanted, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )  # fmt: skip


def _resized(view: View, pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Undistorted at full size, then averaged down to `size`."""
    if any(view.distortion):
        camera = view.camera
        map_x, map_y = _undistortion_maps(camera.width, camera.height, _intrinsics(camera), view.distortion)
        pixels = cv2.remap(pixels, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


def _resized_with_alpha(
    view: View, rgb: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    # Averaging straight colours would let the colour of what is transparent bleed into the rim.
    premultiplied = np.concatenate([rgb * (alpha[..., None] / np.float32(255)), alpha[..., None]], axis=-1)
    small = _resized(view, premultiplied.astype(np.float32), size)
    opacity = small[..., 3:] / 255
    straight = np.divide(small[..., :3], opacity, out=np.zeros_like(small[..., :3]), where=opacity > 0)
    return np.rint(straight).clip(0, 255).astype(np.uint8), np.rint(small[..., 3]).clip(0, 255).astype(np.uint8)


Intrinsics = tuple[float, float, float, float]  # fx, fy, cx, cy; the first pixel's centre is (0.5, 0.5)


def _intrinsics(camera: Camera) -> Intrinsics:
    return camera.fx, camera.fy, camera.cx, camera.cy


def _opencv_matrix(intrinsics: Intrinsics) -> np.ndarray:
    """OpenCV puts the centre of the first pixel at (0, 0)."""
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])


@lru_cache(maxsize=64)
def _pinhole_inside(width: int, height: int, intrinsics: Intrinsics, distortion: tuple[float, ...]) -> Intrinsics:
    """The widest pinhole camera every pixel of which the distorted photo covers."""
    matrix, coefficients = _opencv_matrix(intrinsics), np.array(distortion)
    inner, _ = cv2.getOptimalNewCameraMatrix(matrix, coefficients, (width, height), 0.0, (width, height))
    fx, fy, cx, cy = inner[0, 0], inner[1, 1], inner[0, 2] + 0.5, inner[1, 2] + 0.5
    # OpenCV looks at 9 points a side; between them the rim may still bulge outwards by a fraction of a pixel.
    for _ in range(200):
        pinhole = (float(fx), float(fy), float(cx), float(cy))
        if np.isfinite(pinhole).all() and fx > 0 and fy > 0 and _covers(width, height, intrinsics, distortion, pinhole):
            return pinhole
        fx, fy = fx * 1.002, fy * 1.002
    raise UserError(
        "unsupported",
        f"The lens distortion {', '.join(f'{c:g}' for c in distortion)} is too strong to undo.",
        "Undistort the photos with the program that computed the cameras.",
    )


def _covers(
    width: int, height: int, intrinsics: Intrinsics, distortion: tuple[float, ...], pinhole: Intrinsics
) -> bool:
    """Whether the distorted photo holds the whole rim of the pinhole picture, and the formula does not fold in it."""
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    sides = ((x, 0.0), (x, height - 1.0), (0.0, y), (width - 1.0, y))
    rim = np.concatenate([np.stack(np.broadcast_arrays(a, b), axis=-1) for a, b in sides])
    fx, fy, cx, cy = pinhole
    rays = np.concatenate([(rim - (cx - 0.5, cy - 0.5)) / (fx, fy), np.ones((len(rim), 1))], axis=1)
    # Beyond a radius the polynomial turns back, and pixels far outside would seem to lie inside the photo.
    squared = np.linspace(0, (rays[:, :2] ** 2).sum(axis=1).max(), 64)
    k1, k2, _, _, k3 = distortion
    if (1 + 3 * k1 * squared + 5 * k2 * squared**2 + 7 * k3 * squared**3).min() <= 0:
        return False
    seen, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), _opencv_matrix(intrinsics), np.array(distortion))
    u, v = seen[:, 0, 0], seen[:, 0, 1]
    # Half a pixel outside the centres of the outermost pixels is still inside the photo.
    return bool(max(-u.min(), u.max() - (width - 1), -v.min(), v.max() - (height - 1)) <= 0.5)


@lru_cache(maxsize=2)
def _undistortion_maps(
    width: int, height: int, intrinsics: Intrinsics, distortion: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the distorted photo (OpenCV pixels) each pixel of the pinhole picture is; float32."""
    pinhole = _pinhole_inside(width, height, intrinsics, distortion)
    map_x, map_y = cv2.initUndistortRectifyMap(
        _opencv_matrix(intrinsics), np.array(distortion), None, _opencv_matrix(pinhole), (width, height), cv2.CV_32FC1
    )
    return map_x, map_y
