"""Decodes image files to the pixel grid that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from shared_protocol.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

_REPLACE = "Replace the file by a whole PNG or JPEG picture."
_MODES_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_TURN_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its picture before it is decoded."""

    width: int  # of the pixels as they are stored
    height: int
    orientation: int  # EXIF, 1 = upright
    has_alpha: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the EXIF orientation has been applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(path: Path) -> ImageHeader:
    """Raises UserError for a file that is no image."""
    with _opened(path) as image:
        has_alpha = image.mode in _MODES_WITH_ALPHA or "transparency" in image.info
        return ImageHeader(image.width, image.height, _orientation(image), has_alpha)


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # PIL would decode the whole picture to look for EXIF behind it
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError):
        return 1  # damaged EXIF must not hide a good picture
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def decode(path: Path, *, upright: bool) -> np.ndarray:
    """The picture as uint8 [H, W, 3] or, with an alpha channel, [H, W, 4]; straight alpha.

    upright: apply the EXIF orientation; otherwise the pixels come as they are stored.
    Raises UserError for a file that is no image or is cut off.
    """
    header = read_header(path)
    with _opened(path) as image:
        if image.mode == "F":
            raise UserError(
                "unsupported", f"{path} holds floating point pixels.", "Save it with 8 or 16 bits a channel."
            )
        _load(path, image)
        if image.mode.startswith("I"):  # 16-bit grey, which PIL would clip instead of scale
            picture = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
        else:
            picture = image.convert("RGBA" if header.has_alpha else "RGB")
    turn = _TURN_OF_ORIENTATION.get(header.orientation) if upright else None
    return np.asarray(picture if turn is None else picture.transpose(turn))


def decode_mask(path: Path) -> np.ndarray:
    """A mask file as uint8 [H, W], 255 = inside."""
    with _opened(path) as image:
        _load(path, image)
        mask = np.asarray(image.convert("L"))
    # Some programs write masks as 0 and 1, which the eye takes for black.
    return mask * np.uint8(255) if mask.max(initial=0) == 1 else mask


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        raise UserError("bad_input", f"{path} is not an image that can be read.", _REPLACE) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError("bad_input", f"{path} cannot be read: {error}.", _REPLACE) from error


def _load(path: Path, image: Image.Image) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:  # PIL reports broken PNG chunks as SyntaxError
        raise UserError("bad_input", f"{path} is damaged: {error}.", _REPLACE) from error
