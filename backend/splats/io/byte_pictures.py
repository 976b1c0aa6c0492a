"""Bytes as the channels of pictures: WebP without loss, which packs them by what stands beside them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from backend.splats.io.content import damaged

# Of libwebp without loss: how hard it tries. More costs ten times the time for a few bytes.
_EFFORT = {"quality": 75, "method": 4}


def picture_of(channels: np.ndarray, width: int | None = None) -> bytes:
    """A WebP file of [N, 3 or 4] uint8, pixel after pixel; without a width nearly square, filled up with zeros."""
    from PIL import Image

    count, depth = channels.shape
    width = width or max(4, math.ceil(math.sqrt(count) / 4) * 4)
    height = max(1, math.ceil(count / width))
    pixels = np.zeros((height * width, depth), np.uint8)
    pixels[:count] = channels
    stream = io.BytesIO()
    # exact: else colours under alpha 0 are changed.
    Image.fromarray(pixels.reshape(height, width, depth)).save(stream, "WEBP", lossless=True, exact=True, **_EFFORT)
    return stream.getvalue()


def channels_in(path: Path, name: str, content: bytes, count: int, width: int | None = None) -> np.ndarray:
    """The first `count` pixels of a picture, uint8 [count, 4] red, green, blue, alpha.

    Raises UserError when it is broken, holds fewer, is many times as large, or is not `width` pixels wide.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("WEBP", "PNG")) as picture:
            size = picture.width * picture.height
            if not count <= size <= 16 * count + (1 << 20) or (width and picture.width != width):
                raise damaged(path, f"its '{name}' has {picture.width} x {picture.height} pixels for {count:,} splats")
            if picture.mode not in ("RGB", "RGBA"):
                raise damaged(path, f"its '{name}' is no picture of 8-bit colours")
            pixels = np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise damaged(path, f"its picture '{name}' is broken") from error
    return pixels.reshape(-1, 4)[:count]
