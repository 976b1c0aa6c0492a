"""Blender's cameras and views as cameras of the backend, exact to a fraction of a pixel, and back."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import errors, things

Array = npt.NDArray[np.float64]
SensorFit = Literal["AUTO", "HORIZONTAL", "VERTICAL"]

# Blender's camera looks along -z with y up; OpenCV's along +z with y down. It is its own inverse.
OPENCV_FROM_BLENDER: Array = np.diag([1.0, -1.0, -1.0, 1.0])

# How far the axes of a camera may be from a rotation before a picture of it is no picture of a pinhole camera.
_RIGID = 1e-4


class Lens(msgspec.Struct, frozen=True):
    """A camera's settings as Blender names them; lengths of the sensor and `lens` in mm, clipping in world units."""

    lens: float = 50.0  # also where the panel shows a field of view: Blender keeps millimetres
    sensor_width: float = 36.0
    sensor_height: float = 24.0
    sensor_fit: SensorFit = "AUTO"
    shift_x: float = 0.0
    shift_y: float = 0.0
    orthographic: bool = False
    ortho_scale: float = 6.0
    clip_start: float = 0.1
    clip_end: float = 1000.0


class Frame(msgspec.Struct, frozen=True):
    """The picture that is rendered: its whole size in pixels, and what a cropping border leaves of it."""

    width: int
    height: int
    pixel_aspect_x: float = 1.0
    pixel_aspect_y: float = 1.0
    crop: tuple[int, int, int, int] | None = None  # left, bottom, right, top in pixels from the lower left corner


Border = tuple[float, float, float, float]  # left, bottom, right, top as shares of the picture, from the lower left


def frame(
    width: int,
    height: int,
    *,
    percentage: float = 100,
    pixel_aspect: tuple[float, float] = (1.0, 1.0),
    cropped_to: Border | None = None,
) -> Frame:
    """The picture that Blender makes of these settings; fractions of pixels are cut off as Blender does.

    cropped_to: the render border where it crops; a border that does not crop leaves the picture as it is.
    """
    whole = max(int(width * percentage / 100), 1), max(int(height * percentage / 100), 1)
    crop = None
    if cropped_to is not None:
        # In single precision, because that is where Blender cuts off.
        sides = zip(cropped_to, (*whole, *whole), strict=True)
        left, bottom, right, top = (int(np.float32(side) * np.float32(size)) for side, size in sides)
        crop = (left, bottom, max(right, left + 1), max(top, bottom + 1))
    return Frame(*whole, *pixel_aspect, crop)


def view_camera(lens: Lens, picture: Frame, world_from_camera: Array) -> things.ViewCamera:
    """The camera of a rendered picture.

    world_from_camera: [4, 4], Blender's camera axes; scale in it is ignored, as Blender does.
    The formulas are Blender's own (`BKE_camera_params_compute_viewplane`): the sensor spans the picture's width or its
    height, as the fit says, and a shift of 1 moves the picture by that span.
    """
    width, height = picture.width, picture.height
    squeeze = picture.pixel_aspect_y / picture.pixel_aspect_x  # height of a pixel, in widths of a pixel
    # AUTO lays the sensor's width along the longer side, whichever it is.
    fit = lens.sensor_fit if lens.sensor_fit != "AUTO" else "HORIZONTAL" if width >= squeeze * height else "VERTICAL"
    span = width if fit == "HORIZONTAL" else squeeze * height  # in widths of a pixel
    sensor = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    focal = span / lens.ortho_scale if lens.orthographic else span * lens.lens / sensor
    left, top, size = 0, 0, (width, height)
    if picture.crop is not None:
        left, bottom, right, upper = picture.crop
        top, size = height - upper, (right - left, upper - bottom)
    return things.ViewCamera(
        camera_from_world=as_matrix(camera_from_world(world_from_camera)),
        fx=focal,
        fy=focal / squeeze,
        cx=width / 2 - lens.shift_x * span - left,
        cy=height / 2 + lens.shift_y * span / squeeze - top,
        width=size[0],
        height=size[1],
        near=lens.clip_start,
        far=lens.clip_end,
        orthographic=lens.orthographic,
    )


def view_camera_of_window(
    window_from_view: Array, view_from_world: Array, width: int, height: int
) -> things.ViewCamera:
    """The camera of a 3D view, from the two matrices that Blender draws it with ([4, 4] each, OpenGL's conventions).

    They hold everything: lens, zoom, offset and shift of a camera view. A depth z of the result and the value
    (z - near) / (far - near), times far / z in perspective, of Blender's depth buffer are the same place.
    An orthographic view may begin behind its own eye; the camera is moved back then, so that its `near` is positive.
    """
    matrix: list[list[float]] = window_from_view.tolist()
    pose = OPENCV_FROM_BLENDER @ view_from_world
    orthographic = matrix[3][3] == 1
    if orthographic:
        near, far = (matrix[2][3] + 1) / matrix[2][2], (matrix[2][3] - 1) / matrix[2][2]
        offset_x, offset_y = matrix[0][3], matrix[1][3]
        first = 1e-4 * (far - near)
        if near < first:
            pose[2, 3] += first - near
            near, far = first, far + first - near
    else:
        near, far = _clipping(matrix[2][2], matrix[2][3])
        offset_x, offset_y = -matrix[0][2], -matrix[1][2]
    return things.ViewCamera(
        camera_from_world=as_matrix(pose),
        fx=matrix[0][0] * width / 2,
        fy=matrix[1][1] * height / 2,
        cx=(1 + offset_x) * width / 2,
        cy=(1 - offset_y) * height / 2,
        width=width,
        height=height,
        near=near,
        far=far,
        orthographic=orthographic,
    )


def _clipping(scale: float, offset: float) -> tuple[float, float]:
    """Where a perspective matrix begins and ends; 1e10 where single precision has rounded the end away."""
    near = offset / (scale - 1)
    far = offset / (scale + 1) if scale != -1 else 0.0
    return near, far if far > near else 1e10


def window_from_camera(camera: things.ViewCamera) -> Array:
    """The projection of OpenGL, [4, 4], of points in the camera's own axes (OpenCV's)."""
    near, far, depth = camera.near, camera.far, camera.far - camera.near
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = 2 * camera.fx / camera.width, -2 * camera.fy / camera.height
    offset = 3 if camera.orthographic else 2
    matrix[0, offset], matrix[1, offset] = 2 * camera.cx / camera.width - 1, 1 - 2 * camera.cy / camera.height
    if camera.orthographic:
        matrix[2, 2], matrix[2, 3], matrix[3, 3] = 2 / depth, -(far + near) / depth, 1
    else:
        matrix[2, 2], matrix[2, 3], matrix[3, 2] = (far + near) / depth, -2 * far * near / depth, 1
    return matrix


def distances(window_depth: npt.NDArray[np.float32], camera: things.ViewCamera) -> npt.NDArray[np.float32]:
    """How far what a depth buffer holds (0..1) is along the axis, in world units; infinity where there is nothing."""
    near, far = camera.near, camera.far
    share = window_depth.astype(np.float64)
    found = near + share * (far - near) if camera.orthographic else near * far / (far - share * (far - near))
    found[window_depth >= 1] = np.inf
    return found.astype(np.float32)


def lens_of(fx: float, fy: float, cx: float, cy: float, width: int, height: int) -> tuple[Lens, tuple[float, float]]:
    """The lens, and the pixel aspect (x, y), with which Blender's camera sees what a pinhole camera sees.

    fx, fy, cx, cy: pixels; the centre of the first pixel is (0.5, 0.5). In Blender the pixel aspect is the scene's.
    """
    squeeze = fx / fy
    lens = Lens(
        lens=36.0 * fx / width,
        sensor_width=36.0,
        sensor_fit="HORIZONTAL",
        shift_x=(width / 2 - cx) / width,
        shift_y=(cy - height / 2) * squeeze / width,
    )
    # Blender takes no aspect below 1.
    return lens, (1.0, squeeze) if squeeze >= 1 else (1 / squeeze, 1.0)


def camera_from_world(world_from_camera: Array) -> Array:
    """OpenCV's camera from the world, [4, 4], of a camera in Blender's axes; without its scale."""
    pose = np.array(world_from_camera, np.float64)
    pose[:3, :3] /= np.linalg.norm(pose[:3, :3], axis=0)
    return OPENCV_FROM_BLENDER @ np.linalg.inv(pose)


def world_from_blender_camera(matrix: things.Matrix) -> Array:
    """Where a camera stands, [4, 4] in Blender's camera axes, from its `camera_from_world` in OpenCV's."""
    return np.linalg.inv(np.reshape(matrix, (4, 4))) @ OPENCV_FROM_BLENDER


def refuse_bent(camera: things.ViewCamera, name: str) -> None:
    """Raises UserError for a camera that no photo can be taken with: orthographic, mirrored or sheared."""
    if camera.orthographic:
        raise errors.UserError(
            "unsupported",
            f"The camera '{name}' is orthographic.",
            "Captures need perspective cameras; change its type.",
        )
    axes = np.reshape(camera.camera_from_world, (4, 4))[:3, :3]
    if np.abs(axes @ axes.T - np.eye(3)).max() > _RIGID or np.linalg.det(axes) < 0:
        raise errors.UserError(
            "bad_input",
            f"The camera '{name}' is mirrored or sheared by what it is parented to.",
            "Clear the parent and keep the transformation, then apply the camera's scale.",
        )


def as_matrix(matrix: Array) -> things.Matrix:
    """[4, 4] as it travels in a message: row after row."""
    return tuple(float(value) for value in matrix.ravel())  # type: ignore[return-value]  16 of them
