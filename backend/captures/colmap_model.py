"""Reads a COLMAP model, binary or text.

Our own reader and not pycolmap's, because that one takes a cut-off cameras.bin for a whole one. The newer rigs and
frames files are not needed: the images file holds the pose of every image in the world, whatever rig it belongs to.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.captures.capture import PointCloud
from backend.captures.listing import Lens, ListedImage, Listing, rigid_pose
from backend.captures.pose_record import read_pose_record
from shared_protocol.errors import UserError

MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0")
# Where a model's image names may start; the smaller copies serve where the full photos were deleted.
_IMAGE_FOLDERS = ("images", "", "images_2", "images_4", "images_8")

# Number in binary files -> name and number of parameters, in COLMAP's order (src/colmap/sensor/models.h).
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
}
_PARAMETERS = dict(_MODELS.values())
_UNSUPPORTED = {
    5: "OPENCV_FISHEYE", 6: "FULL_OPENCV", 7: "FOV", 8: "SIMPLE_RADIAL_FISHEYE", 9: "RADIAL_FISHEYE",
    10: "THIN_PRISM_FISHEYE", 11: "RAD_TAN_THIN_PRISM_FISHEYE",
}  # fmt: skip
_HINT = "Write the model again with COLMAP (or point_cloud and cameras with model_converter)."


@dataclass(frozen=True)
class _ModelImage:
    name: str
    quaternion: tuple[float, ...]  # w, x, y, z, camera from world
    translation: tuple[float, ...]
    camera_id: int


def find_model(folder: Path) -> Path | None:
    """The folder of the capture's COLMAP model, or None."""
    for name in MODEL_FOLDERS:
        model = folder / name
        if any(all((model / f"{part}.{kind}").is_file() for part in ("cameras", "images")) for kind in ("bin", "txt")):
            return model
    return None


def read_colmap(model: Path) -> Listing:
    """The images and points of the model in the folder `model`; binary files come before text."""
    binary = (model / "cameras.bin").is_file() and (model / "images.bin").is_file()
    images_path = model / ("images.bin" if binary else "images.txt")
    cameras_path = model / ("cameras.bin" if binary else "cameras.txt")
    points_path = model / ("points3D.bin" if binary else "points3D.txt")
    lenses = _cameras_from_binary(cameras_path) if binary else _cameras_from_text(cameras_path)
    images = _images_from_binary(images_path) if binary else _images_from_text(images_path)
    if not images:
        raise UserError("bad_input", f"{images_path} lists no cameras.", "Compute the poses again.")
    points = None
    if points_path.is_file():
        points = _points_from_binary(points_path) if binary else _points_from_text(points_path)
    record = read_pose_record(model)
    posed_upright = record is not None and record.turned_by_exif
    listed = tuple(_listed(image, lenses, images_path, posed_upright=posed_upright) for image in images)
    return Listing("colmap", listed, points=points if points is not None and len(points.positions) else None)


def _listed(image: _ModelImage, lenses: dict[int, Lens], path: Path, *, posed_upright: bool) -> ListedImage:
    if image.camera_id not in lenses:
        raise UserError("bad_input", f"{path}: the camera {image.camera_id} of '{image.name}' is not there.", _HINT)
    places = tuple(f"{folder}/{image.name}".lstrip("/") for folder in _IMAGE_FOLDERS)
    if image.name.startswith("/"):
        places = (image.name,)
    pose = np.eye(4)
    w, x, y, z = image.quaternion
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = image.translation
    # A quaternion that is not of unit length makes a matrix that is not rigid.
    camera_from_world = rigid_pose(pose, of=image.name, source=path)
    return ListedImage(
        image.name, places, path, camera_from_world, lenses[image.camera_id], posed_upright=posed_upright
    )


def _lens(model: str, width: int, height: int, values: tuple[float, ...], path: Path) -> Lens:
    if len(values) != _PARAMETERS[model] or not np.isfinite(values).all() or width < 1 or height < 1 or values[0] <= 0:
        raise UserError("bad_input", f"{path}: a camera of model {model} has impossible values.", _HINT)
    one_focal = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    fx, fy, cx, cy, *rest = (values[0], *values) if one_focal else values
    k1, k2, p1, p2 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
    return Lens(width, height, fx, fy, cx, cy, distortion=(k1, k2, p1, p2, 0.0))


def _refuse_model(model: str, path: Path) -> UserError:
    return UserError(
        "unsupported",
        f"{path} uses the camera model {model}, which is not supported.",
        f"Undistort the photos with COLMAP's image_undistorter, or compute with one of {', '.join(_PARAMETERS)}.",
    )


class _Bytes:
    """A binary file read from front to back that says so when it ends too early."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = path.read_bytes()
        self._at = 0

    def take(self, layout: str) -> tuple[float | int, ...]:
        packed = struct.Struct("<" + layout)
        self._need(packed.size)
        values = packed.unpack_from(self._content, self._at)
        self._at += packed.size
        return values

    def count(self, smallest: int) -> int:
        """A number of entries, each of at least `smallest` bytes."""
        (number,) = self.take("Q")
        self._need(int(number) * smallest)
        return int(number)

    def skip(self, size: int) -> None:
        self._need(size)
        self._at += size

    def text(self) -> str:
        end = self._content.find(b"\0", self._at)
        self._need(end - self._at if end >= 0 else len(self._content) + 1)
        text = self._content[self._at : end].decode("utf-8", errors="replace")
        self._at = end + 1
        return text

    def _need(self, size: int) -> None:
        if self._at + size > len(self._content):
            raise UserError("bad_input", f"{self.path} is cut off after {len(self._content)} bytes.", _HINT)


def _cameras_from_binary(path: Path) -> dict[int, Lens]:
    file, lenses = _Bytes(path), {}
    for _ in range(file.count(24)):
        camera_id, number, width, height = (int(value) for value in file.take("IiQQ"))
        if number not in _MODELS:
            raise _refuse_model(_UNSUPPORTED.get(number, f"number {number}"), path)
        model, parameters = _MODELS[number]
        lenses[camera_id] = _lens(model, width, height, file.take(f"{parameters}d"), path)
    return lenses


def _images_from_binary(path: Path) -> list[_ModelImage]:
    file, images = _Bytes(path), []
    for _ in range(file.count(73)):
        _, *numbers, camera_id = file.take("I7dI")
        name = file.text()
        images.append(_ModelImage(name, tuple(numbers[:4]), tuple(numbers[4:]), int(camera_id)))
        file.skip(24 * file.count(24))
    return images


def _points_from_binary(path: Path) -> PointCloud:
    file = _Bytes(path)
    count = file.count(51)
    positions, colors = np.empty((count, 3)), np.empty((count, 3), np.uint8)
    for i in range(count):
        _, x, y, z, red, green, blue, _, track = file.take("Q3d3BdQ")
        positions[i], colors[i] = (x, y, z), (red, green, blue)
        file.skip(8 * int(track))
    return _finite(positions, colors)


def _finite(positions: np.ndarray, colors: np.ndarray) -> PointCloud:
    good = np.isfinite(positions).all(axis=1)
    return PointCloud(positions[good].astype(np.float32), colors[good])


def _lines(path: Path) -> list[str]:
    return [
        line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if not line.startswith("#")
    ]


def _bad_line(path: Path, line: str) -> UserError:
    return UserError("bad_input", f"{path} has a line that cannot be read: '{line[:60]}'.", _HINT)


def _cameras_from_text(path: Path) -> dict[int, Lens]:
    lenses = {}
    for line in _lines(path):
        if not line.strip():
            continue
        words = line.split()
        try:
            camera_id, model, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            values = tuple(float(word) for word in words[4:])
        except (ValueError, IndexError) as error:
            raise _bad_line(path, line) from error
        if model not in _PARAMETERS:
            raise _refuse_model(model, path)
        lenses[camera_id] = _lens(model, width, height, values, path)
    return lenses


def _images_from_text(path: Path) -> list[_ModelImage]:
    images, lines = [], iter(_lines(path))
    for line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        try:
            numbers = tuple(float(word) for word in words[1:8])
            images.append(_ModelImage(words[9].strip(), numbers[:4], numbers[4:], int(words[8])))
        except (ValueError, IndexError) as error:
            raise _bad_line(path, line) from error
        next(lines, "")  # the image's 2D points; may be empty
    return images


def _points_from_text(path: Path) -> PointCloud:
    rows = []
    for line in _lines(path):
        if line.strip():
            try:
                rows.append([float(word) for word in line.split()[1:7]])
            except ValueError as error:
                raise _bad_line(path, line) from error
            if len(rows[-1]) < 6:
                raise _bad_line(path, line)
    values = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return _finite(values[:, :3], values[:, 3:].clip(0, 255).astype(np.uint8))
