"""How the axes of a file's numbers stand, and turning splats from one such frame into another.

A frame says which way x, y and z point. It has a name of its own where it is in common use, and else three letters as
SPZ names them: R or L(eft), U(p) or D(own), F(orward) or B(ack), for x, y and z. Half of the 48 mirror the other half.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from shared_protocol.errors import UserError

Frame = str  # one of FRAMES

_NAMED = {
    "opencv": "RDF",  # what trainers on COLMAP's cameras write, and so the usual 3DGS PLY
    "z_up": "RFU",  # Blender
    "y_up": "RUB",  # glTF, OpenGL, SPZ as its specification has it
}
_LETTERS_OF = _NAMED | {
    "".join(letters): "".join(letters)
    for axes in permutations(("RL", "UD", "FB"))
    for letters in product(*axes)
    if "".join(letters) not in _NAMED.values()
}
_NAME_OF = {letters: name for name, letters in _LETTERS_OF.items()}
FRAMES: tuple[Frame, ...] = tuple(_LETTERS_OF)  # the three in common use first
COMMON_FRAMES: tuple[Frame, ...] = tuple(_NAMED)

# Where each letter points, in coordinates of right, up and back.
_DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "U": (0, 1, 0), "D": (0, -1, 0), "B": (0, 0, 1), "F": (0, 0, -1)}


def frame_called(name: str) -> Frame:
    """The frame of that name or of those letters ("RDF" is "opencv"). Raises UserError when there is none."""
    if name.lower() in _NAMED:
        return name.lower()
    if name.upper() in _NAME_OF:
        return _NAME_OF[name.upper()]
    raise UserError(
        "bad_input",
        f"There is no frame called '{name}'.",
        f"Frames are {', '.join(COMMON_FRAMES)}, or three letters such as RUB: where x, y and z point.",
    )


def letters_of(frame: Frame) -> str:
    """Where x, y and z point, as SPZ writes it: "RDF" for "opencv"."""
    return _LETTERS_OF[frame]


def axes_in_words(frame: Frame) -> str:
    """The frame for people: "opencv: x right, y down, z forward"."""
    words = {"R": "right", "L": "left", "U": "up", "D": "down", "F": "forward", "B": "back"}
    return f"{frame}: " + ", ".join(
        f"{axis} {words[letter]}" for axis, letter in zip("xyz", letters_of(frame), strict=True)
    )


def is_mirrored(frame: Frame) -> bool:
    """Whether it is left-handed: the mirror image of those in common use."""
    return float(np.linalg.det(_axes(frame))) < 0


def up_in(frame: Frame) -> tuple[float, float, float]:
    """Where up is, as a unit vector of numbers in this frame."""
    x, y, z = _axes(frame)[1].tolist()
    return (x, y, z)


def rotation_between(source: Frame, target: Frame) -> np.ndarray:
    """The matrix that carries coordinates in `source` into those in `target`, [3, 3] float64 of 0, 1 and -1.

    Its determinant is -1 where one frame is the mirror image of the other.
    """
    return _axes(target).T @ _axes(source)


def _axes(frame: Frame) -> np.ndarray:
    """Columns: where x, y and z point. [3, 3]"""
    return np.array([_DIRECTIONS[letter] for letter in _LETTERS_OF[frame]], np.float64).T
