"""Reads LLFF's poses_bounds.npy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.captures.capture_files import CaptureFiles
from backend.captures.listing import Lens, ListedImage, Listing, inverse_pose, rigid_pose
from shared_protocol.errors import UserError

POSES_FILE = "poses_bounds.npy"
_IMAGE_FOLDERS = ("images", "", "images_2", "images_4", "images_8")
_COLUMNS = 17  # a 3x5 matrix and the nearest and farthest depth


def read_llff(folder: Path, files: CaptureFiles) -> Listing:
    """Row i of the file belongs to image i in file-name order, so their numbers must agree."""
    path = folder / POSES_FILE
    rows = _load(path)
    images = next((found for name in _IMAGE_FOLDERS if (found := files.images_below(name))), [])
    if len(images) != len(rows):
        raise UserError(
            "bad_input",
            f"{path} holds {len(rows)} poses, but there are {len(images)} images.",
            "LLFF poses have no names, so every image must be there, and no other.",
        )
    listed = tuple(_listed(row, files.name_of(image), path) for row, image in zip(rows, images, strict=True))
    return Listing("llff", listed)


def _load(path: Path) -> np.ndarray:
    hint = "Compute the poses again, for example with LLFF's imgs2poses."
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError("bad_input", f"{path} is not a whole NumPy file.", hint) from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != _COLUMNS or rows.dtype.kind not in "fiu":
        raise UserError("bad_input", f"{path} does not hold {_COLUMNS} numbers an image.", hint)
    if len(rows) == 0:
        raise UserError("bad_input", f"{path} lists no cameras.", hint)
    return rows.astype(np.float64)


def _listed(row: np.ndarray, name: str, path: Path) -> ListedImage:
    matrix = row[:15].reshape(3, 5)
    down, right, back, centre, (height, width, focal) = matrix.T
    world_from_camera = rigid_pose(np.stack([right, down, -back, centre], axis=1), of=name, source=path)
    sizes = (height, width, focal)
    if not np.isfinite(sizes).all() or min(sizes) <= 0:
        raise UserError(
            "bad_input", f"{path}: the size or focal length of '{name}' is impossible.", "Compute it again."
        )
    lens = Lens(round(width), round(height), focal, focal)
    return ListedImage(name, (name,), path, inverse_pose(world_from_camera), lens)
