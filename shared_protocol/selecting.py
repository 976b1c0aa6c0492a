"""Which splats of a version are selected: what a client asks for, and by what splats are found."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from .shapes import check_mesh
from .things import (
    Array,
    Bounds,
    Color,
    Count,
    FolderCapture,
    Identifier,
    Matrix,
    Message,
    Part,
    Point,
    UploadedCapture,
    ViewCamera,
)

MOST_PLACES = 100_000  # of an outline or a path
Mode = Literal["set", "add", "subtract", "intersect"]
SetName = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
# label (-1 = none) and its confidence: once objects were told apart. visibility: once the version has been indexed;
# 1 = as much as the mean splat shows.
Attribute = Literal[
    "opacity", "size", "elongation", "distance", "sh_energy", "label", "confidence", "visibility", "x", "y", "z"
]

# ---- by what


class InOutline(Part, frozen=True, tag=True):
    """Splats whose centres a camera sees within an outline, which is closed at its end: a box, a lasso, a polygon."""

    camera: ViewCamera
    world_from_object: Matrix
    points: Array  # [P, 2] float32, pixels of the camera's picture
    surface_only: bool = False  # not what other splats hide from the camera

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)
        _check_places(self.points, at_least=3)


class UnderBrush(Part, frozen=True, tag=True):
    """Splats whose centres a camera sees no farther than a radius from a line that was drawn."""

    camera: ViewCamera
    world_from_object: Matrix
    path: Array  # [P, 2] float32, pixels of the camera's picture
    radius_px: Annotated[float, msgspec.Meta(gt=0, le=100_000)]
    surface_only: bool = False  # as in `InOutline`

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


class InMesh(Part, frozen=True, tag=True):
    """Splats whose centres a mesh encloses, or all others; holes and self-intersections do little harm."""

    vertices: Array  # [V, 3] float32, in the asset's frame
    faces: Array  # [F, 3] int32
    outside: bool = False

    def __post_init__(self) -> None:
        check_mesh(self.vertices, self.faces)


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


class Contributing(Part, frozen=True, tag=True):
    """Splats that add something to a camera's picture."""

    camera: ViewCamera
    world_from_object: Matrix
    at_least: Annotated[float, msgspec.Meta(ge=0)] = 0.5  # pixels, as the sum of blending weights over the picture

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)


class Everything(Part, frozen=True, tag=True):
    pass


class Inverted(Part, frozen=True, tag=True):
    """What is not in the base selection."""


class Grown(Part, frozen=True, tag=True):
    """The base selection with its neighbours, so many times; below 0 without those at its rim."""

    steps: Annotated[int, msgspec.Meta(ge=-100, le=100)] = 1


class Connected(Part, frozen=True, tag=True):
    """All that hangs together with the base selection, from neighbour to neighbour."""

    distance: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # of neighbours, at most, in the asset's units; 0 = they touch
    color_tolerance: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None  # from the base's mean colour; None = any


class Floaters(Part, frozen=True, tag=True):
    """Splats that hang alone in the air, or with few others."""

    most: Annotated[int, msgspec.Meta(ge=1)] = 50  # that hang together
    distance: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # as in `Connected`


class Stored(Part, frozen=True, tag=True):
    selection: Identifier


class Named(Part, frozen=True, tag=True):
    name: SetName


class Labelled(Part, frozen=True, tag=True):
    """Splats that belong to an object, by the masks that `LabelSplats` was told last about this version."""

    label: Annotated[int, msgspec.Meta(ge=0, le=254)] = 1
    bias: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.0  # above 0 fewer and surer splats, below 0 more
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # only those that are at least so sure


Selector = (
    InOutline
    | UnderBrush
    | InBox
    | InSphere
    | InMesh
    | OfColor
    | InRange
    | Everything
    | Inverted
    | Grown
    | Connected
    | Floaters
    | Contributing
    | Stored
    | Named
    | Labelled
)


def takes_long(by: Selector) -> bool:
    """Whether it is more than a look at each splat: to find neighbours, go through a mesh, or draw a view."""
    return isinstance(by, InMesh | Grown | Connected | Floaters | Contributing) or getattr(by, "surface_only", False)


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


class PickSplat(Message, frozen=True):
    """The splat of which most is seen in the pixel around a place."""

    asset: Identifier
    camera: ViewCamera
    world_from_object: Matrix
    x: float  # pixels of the camera's picture
    y: float
    version: Identifier = ""
    hidden: Identifier = ""  # a selection: splats that cannot be picked

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)
        if not (0 <= self.x < self.camera.width and 0 <= self.y < self.camera.height):
            raise ValueError("the place must lie in the picture")


class PickedSplat(Message, frozen=True):
    index: int  # -1 = there is no splat, and nothing below is said
    color: Color = (0.0, 0.0, 0.0)  # sRGB of its base colour
    position: Point = (0.0, 0.0, 0.0)  # of its centre, in the asset's frame
    depth: float = 0.0  # of its centre along the camera's axis, world units


class NameSelection(Message, frozen=True):
    """Gives a selection a name, which it keeps through edits; selection "" forgets the name."""

    asset: Identifier
    name: SetName
    version: Identifier = ""
    selection: Identifier = ""


class ListSelections(Message, frozen=True):
    asset: Identifier
    version: Identifier = ""


class NamedSelection(Part, frozen=True):
    name: str
    selection: Identifier
    count: Count


class NamedSelections(Message, frozen=True):
    """In the order of their names."""

    asset: Identifier
    version: Identifier
    selections: tuple[NamedSelection, ...] = ()
    labels: Count = 0  # that `Labelled` knows of this version, the 0 of what is no object among them


class FetchSelection(Message, frozen=True):
    asset: Identifier
    selection: Identifier
    version: Identifier = ""


class SelectedSplats(Message, frozen=True):
    asset: Identifier
    version: Identifier
    selection: Identifier
    selected: Array  # bool [N]


class FetchValues(Message, frozen=True):
    asset: Identifier
    attribute: Attribute
    version: Identifier = ""


class SplatValues(Message, frozen=True):
    asset: Identifier
    version: Identifier
    attribute: Attribute
    values: Array  # [N] float32


class FetchHistogram(Message, frozen=True):
    """How often values of something occur, for a range to be chosen by."""

    asset: Identifier
    attribute: Attribute
    version: Identifier = ""
    bins: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    selection: Identifier = ""  # only of these splats; "" = of all


class Histogram(Message, frozen=True):
    low: float  # the least value that there is, and the greatest; equal where all are
    high: float
    counts: tuple[int, ...]  # of bins of one width from low to high; empty where there are no splats


class IndexVersion(Message, frozen=True):
    """Finds each splat's neighbours and how much is seen of it, in the background, as a job.

    `Grown` and the like need not wait for neighbours then, and `InRange` knows "visibility".
    """

    asset: Identifier
    version: Identifier = ""


class MaskedView(Part, frozen=True):
    """What a camera sees of each object, as pixels of its picture or as outlines that were drawn."""

    camera: ViewCamera
    world_from_object: Matrix
    labels: Array | None = None  # [H, W] uint8: 0 = what is no object, 255 = unknown
    outlines: Annotated[tuple[Array, ...], msgspec.Meta(max_length=60)] = ()  # [P, 2] float32 pixels, all of label 1

    def __post_init__(self) -> None:
        _check_matrix(self.world_from_object)
        if (self.labels is None) == (not self.outlines):
            raise ValueError("a view needs labels or outlines")
        if self.labels is not None and (self.labels.dtype != np.uint8 or self.labels.ndim != 2):
            raise ValueError("labels must be uint8 [H, W]")
        for outline in self.outlines:
            _check_places(outline, at_least=3)


class LabelSplats(Message, frozen=True):
    """Says which object each splat belongs to, from masks in one or several views; `Labelled` selects by it then.

    capture: its masks are views, too, of label 1. The job replaces what was known of the version.
    """

    asset: Identifier
    version: Identifier = ""
    views: Annotated[tuple[MaskedView, ...], msgspec.Meta(max_length=60)] = ()
    capture: FolderCapture | UploadedCapture | None = None
    hidden: Identifier = ""  # a selection: splats that are not there


SelectionQuestion = (
    PickSplat
    | NameSelection
    | ListSelections
    | FetchSelection
    | FetchValues
    | FetchHistogram
    | IndexVersion
    | LabelSplats
)
SelectionAnswer = PickedSplat | NamedSelections | Histogram


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
