"""Lists a folder's photos and groups them by the camera that took them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from backend.captures.image_files import IMAGE_SUFFIXES, ImageHeader, read_header

_DIAGONAL_OF_35MM = math.hypot(36.0, 24.0)
_USUAL_FOCAL = 1.2  # times the longer side, where EXIF says nothing; COLMAP's value


@dataclass(frozen=True)
class UnposedPhoto:
    """A photo whose pose is to be found."""

    name: str  # path below the folder of photos, with "/"
    path: Path
    header: ImageHeader
    camera_name: str  # make and model from EXIF; empty when unknown
    focal_35mm: float | None  # millimetres on 35 mm film of the same diagonal

    @property
    def size(self) -> tuple[int, int]:
        """Upright width and height."""
        return self.header.upright_size

    @property
    def focal(self) -> float:
        """First guess of the focal length in pixels."""
        if self.focal_35mm is not None:
            return self.focal_35mm / _DIAGONAL_OF_35MM * math.hypot(*self.size)
        return _USUAL_FOCAL * max(self.size)


def find_photos(folder: Path) -> list[UnposedPhoto]:
    """The photos in `images/` with its sub-folders, or else in the folder itself, by name."""
    images = folder / "images"
    found = [path for path in sorted(images.rglob("*")) if _is_photo(path)] if images.is_dir() else []
    root = images if found else folder
    found = found or [path for path in sorted(folder.iterdir()) if _is_photo(path)]
    return [_photo(path, path.relative_to(root).as_posix()) for path in found]


def camera_numbers(photos: list[UnposedPhoto]) -> list[int]:
    """For each photo the number of its camera, from 1. Photos share one when size and EXIF agree.

    Photos whose EXIF does not name a camera share one only where all of them are of one size, as video frames are.
    """
    one_source = len({photo.size for photo in photos}) == 1 and not any(photo.camera_name for photo in photos)
    numbers: dict[object, int] = {}
    result = []
    for photo in photos:
        known = photo.camera_name and photo.focal_35mm is not None
        key = "all" if one_source else (photo.size, photo.camera_name, photo.focal_35mm) if known else photo.name
        result.append(numbers.setdefault(key, len(numbers) + 1))
    return result


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")


def _photo(path: Path, name: str) -> UnposedPhoto:
    header = read_header(path)
    with Image.open(path) as image:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
    words = [str(exif.get(tag, "")).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    try:
        focal = float(details.get(ExifTags.Base.FocalLengthIn35mmFilm, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        focal = 0.0
    plausible = 5.0 <= focal <= 2000.0
    return UnposedPhoto(name, path, header, " ".join(words).strip(), focal if plausible else None)
