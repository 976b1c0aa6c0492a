"""The picture that stands where splats are missing: stripes and words, so that nobody takes it for the final."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WORDS = "SPLATS MISSING"
_YELLOW, _BLACK, _RED = (1.0, 0.82, 0.0), (0.05, 0.05, 0.05), (0.75, 0.0, 0.0)
_STRIPES = 12  # across the picture's longer side
# Five columns and seven rows a letter.
_LETTERS = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "G": "01110 10001 10000 10111 10001 10001 01110",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


def missing_card(width: int, height: int) -> npt.NDArray[np.float32]:
    """[height, width, 4] sRGB, opaque. A picture that is too small for the words has the stripes alone."""
    row, column = np.mgrid[:height, :width]
    stripe = max(max(width, height) // _STRIPES, 2)
    card = np.ones((height, width, 4), np.float32)
    card[..., :3] = np.where(((row + column) // stripe % 2 == 0)[..., None], _YELLOW, _BLACK)
    words = _lettering()
    size = int(min(width * 0.8 / words.shape[1], height * 0.5 / words.shape[0]))
    if size < 1:
        return card
    large = words.repeat(size, 0).repeat(size, 1)
    top, left = (height - large.shape[0]) // 2, (width - large.shape[1]) // 2
    card[max(top - 2 * size, 0) : top + large.shape[0] + 2 * size, :, :3] = _RED
    card[top : top + large.shape[0], left : left + large.shape[1], :3][large] = 1.0
    return card


def _lettering() -> npt.NDArray[np.bool_]:
    """[7, 6 a letter]."""
    glyphs = [[[bit == "1" for bit in row + "0"] for row in _LETTERS[letter].split()] for letter in WORDS]
    return np.concatenate([np.array(glyph) for glyph in glyphs], axis=1)
