"""Reads transforms.json: NeRF's synthetic scenes, instant-ngp, nerfstudio."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from backend.captures.capture_files import CaptureFiles
from backend.captures.listing import Lens, ListedImage, Listing, inverse_pose, rigid_pose
from backend.captures.point_file import read_points
from shared_protocol.errors import UserError

# The models of COLMAP and nerfstudio that are a pinhole with OpenCV's five coefficients at most.
PINHOLE_MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")

# OpenGL's camera looks along -z with y up; OpenCV's along +z with y down.
_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])

Z_UP = (0.0, 0.0, 1.0)  # Blender's world, which its captures are written in as it is


class _LensFields(msgspec.Struct):
    w: float | None = None
    h: float | None = None
    fl_x: float | None = None
    fl_y: float | None = None
    cx: float | None = None
    cy: float | None = None
    camera_angle_x: float | None = None
    camera_angle_y: float | None = None
    k1: float | None = None
    k2: float | None = None
    k3: float | None = None
    k4: float | None = None
    p1: float | None = None
    p2: float | None = None
    camera_model: str | None = None
    is_fisheye: bool | None = None


class _Frame(_LensFields, kw_only=True):
    file_path: str
    transform_matrix: list[list[float]]
    mask_path: str | None = None


class _TransformsFile(_LensFields, kw_only=True):
    frames: list[_Frame]
    ply_file_path: str | None = None
    splatwright_world: str | None = None


def is_transforms_capture(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("transforms.json", "transforms_train.json"))


def read_transforms(folder: Path, files: CaptureFiles) -> Listing:
    """All frames of the folder's transforms files; the test split is transforms_test.json, else _val."""
    split_train = folder / "transforms_train.json"
    train_path = split_train if split_train.is_file() else folder / "transforms.json"
    held_out = (folder / "transforms_test.json", folder / "transforms_val.json")
    test_path = next((path for path in held_out if path.is_file()), None)

    train = _decode(train_path)
    images = [_listed(frame, train, train_path) for frame in train.frames]
    if test_path is not None:
        test = _decode(test_path)
        # First, so that a frame that both files list is held out.
        images = [_listed(frame, test, test_path, is_test=True) for frame in test.frames] + images
    if not train.frames:
        raise UserError("bad_input", f"{train_path} lists no cameras.", "Export the cameras again.")

    points, warnings = None, ()
    if train.ply_file_path:
        found = files.find(train.ply_file_path, source=train_path)
        if found is not None:
            points = read_points(found)
        else:
            warnings = (f"The point cloud {train.ply_file_path} named in {train_path.name} is missing.",)
    up = Z_UP if train.splatwright_world == "blender" else None
    return Listing("transforms", tuple(images), test_path is not None, points, warnings, up)


def _decode(path: Path) -> _TransformsFile:
    hint = "Export the cameras again, or compare the file with an example from instant-ngp or nerfstudio."
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=_TransformsFile)
    except msgspec.MsgspecError as error:
        raise UserError("bad_input", f"{path} is not a readable transforms file: {error}.", hint) from error
    except OSError as error:
        raise UserError("bad_input", f"{path} cannot be read: {error.strerror}.", hint) from error


def _listed(frame: _Frame, whole: _TransformsFile, path: Path, *, is_test: bool = False) -> ListedImage:
    world_from_opengl = rigid_pose(frame.transform_matrix, of=frame.file_path, source=path)
    camera_from_world = inverse_pose(world_from_opengl @ _OPENCV_FROM_OPENGL)
    lens = _lens(frame, whole, path)
    return ListedImage(
        frame.file_path, (frame.file_path,), path, camera_from_world, lens, frame.mask_path or None, is_test
    )


def _lens(frame: _Frame, whole: _TransformsFile, path: Path) -> Lens:
    _refuse_other_models(frame, whole, path)
    # A frame that names its own focal length or grid does not mix it with the other kind from the head of the file.
    own_focal = any(v is not None for v in (frame.fl_x, frame.fl_y, frame.camera_angle_x, frame.camera_angle_y))
    focal = frame if own_focal else whole
    grid = frame if frame.w is not None or frame.h is not None else whole
    cx = frame.cx if frame.cx is not None else grid.cx
    cy = frame.cy if frame.cy is not None else grid.cy
    names = ("k1", "k2", "p1", "p2", "k3")
    k1, k2, p1, p2, k3 = (_first(getattr(frame, name), getattr(whole, name)) for name in names)
    lens = Lens(
        _pixels(grid.w, path), _pixels(grid.h, path), focal.fl_x, focal.fl_y, cx, cy,
        focal.camera_angle_x, focal.camera_angle_y, (k1, k2, p1, p2, k3),
    )  # fmt: skip
    if (lens.fx or lens.fy or lens.angle_x or lens.angle_y) is None:
        raise UserError("bad_input", f"{path} gives no focal length (fl_x or camera_angle_x).", "Export it again.")
    angles = (lens.angle_x, lens.angle_y)
    if any(f is not None and not f > 0 for f in (lens.fx, lens.fy)) or any(
        a is not None and not 0 < a < math.pi for a in angles
    ):
        raise UserError(
            "bad_input", f"{path}: the focal length of '{frame.file_path}' is impossible.", "Export it again."
        )
    return lens


def _refuse_other_models(frame: _Frame, whole: _TransformsFile, path: Path) -> None:
    model = frame.camera_model or whole.camera_model
    fisheye = whole.is_fisheye if frame.is_fisheye is None else frame.is_fisheye
    if _first(frame.k4, whole.k4) != 0 or fisheye:
        model = model if model and model not in PINHOLE_MODELS else "fisheye (k4)"
    if model and model not in PINHOLE_MODELS:
        raise UserError(
            "unsupported",
            f"{path} uses the camera model {model}, which is not supported.",
            f"Undistort the photos to one of {', '.join(PINHOLE_MODELS)} first.",
        )


def _first(own: float | None, shared: float | None) -> float:
    return own if own is not None else (shared if shared is not None else 0.0)


def _pixels(size: float | None, path: Path) -> int | None:
    if size is None:
        return None
    if size < 1 or size != int(size):
        raise UserError("bad_input", f"{path} gives an image size of {size:g} pixels.", "Export the cameras again.")
    return int(size)
