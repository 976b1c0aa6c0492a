"""Which splats of a version are selected: what a client asks for, and by what splats are found."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from .things import Array, Bounds, Color, Count, Identifier, Matrix, Message, Part, ViewCamera

MOST_PLACES = 100_000  # of an outline or a path
Mode = Literal["set", "add", "subtract", "intersect"]
Attribute = Literal["opacity", "size", "elongation", "distance", "sh_energy"]

# ---- by what


class InOutline(Part, frozen=True, tag=True):
    """Splats whose centres a camera sees within an outline, which is closed at its end: a box, a lasso, a polygon."""

    camera: ViewCamera
    world_from_object: Matrix
    points: Array  # [P, 2] float32, pixels of the camera's picture

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)
        _check_places(self.points, at_least=3)


class UnderBrush(Part, frozen=True, tag=True):
    """Splats whose centres a camera sees no farther than a radius from a line that was drawn."""

    camera: ViewCamera
    world_from_object: Matrix
    path: Array  # [P, 2] float32, pixels of the camera's picture
    radius_px: Annotated[float, msgspec.Meta(gt=0, le=100_000)]

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)
        _check_places(self.path, at_least=1)


class InBox(Part, frozen=True, tag=True):
    asset_from_box: Matrix  # carries the cube from -1 to 1 into the asset's frame

    def __post_init__(self) -> None:
        _check_matrix(self.asset_from_box)


class InSphere(Part, frozen=True, tag=True):
    asset_from_sphere: Matrix  # carries the ball of radius 1 into the asset's frame

    def __post_init__(self) -> None:
        _check_matrix(self.asset_from_sphere)


class OfColor(Part, frozen=True, tag=True):
    """Splats whose base colour is about this one."""

    rgb: Color
    tolerance: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.1  # distance of sRGB values 0..1

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.rgb)):
            raise ValueError("a colour needs finite numbers")


class InRange(Part, frozen=True, tag=True):
    """Splats of which something lies between two values, both included."""

    attribute: Attribute
    low: float
    high: float


class Everything(Part, frozen=True, tag=True):
    pass


class Inverted(Part, frozen=True, tag=True):
    """What is not in the base selection."""


class Stored(Part, frozen=True, tag=True):
    selection: Identifier


Selector = InOutline | UnderBrush | InBox | InSphere | OfColor | InRange | Everything | Inverted | Stored

# ---- said and answered


class Select(Message, frozen=True):
    """Finds splats of a version. They are a selection of their own, which never changes.

    mode: how what is found is combined with the base. hidden: a selection, no splat of which is ever selected.
    """

    asset: Identifier
    by: Selector
    version: Identifier = ""
    base: Identifier = ""  # "" = none selected
    mode: Mode = "set"
    hidden: Identifier = ""


class SelectionInfo(Message, frozen=True):
    """The same splats of the same version are always the same selection; "" = no splats."""

    selection: Identifier
    asset: Identifier
    version: Identifier
    count: Count
    total: Count  # splats of the version
    bounds: Bounds | None = None  # of the selected centres, in the asset's frame


def _check_matrix(matrix: Matrix) -> None:
    if not all(map(math.isfinite, matrix)):
        raise ValueError("a matrix needs finite numbers")


def _check_places(places: Array, *, at_least: int) -> None:
    if places.dtype != np.float32 or places.ndim != 2 or places.shape[1] != 2:
        raise ValueError("places must be float32 [P, 2]")
    if not at_least <= len(places) <= MOST_PLACES:
        raise ValueError(f"places must be {at_least} to {MOST_PLACES:,}")
    if not np.isfinite(places).all():
        raise ValueError("places need finite numbers")
