"""What messages speak of: jobs, assets, captures, cameras, failures."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
import numpy.typing as npt

from .errors import ErrorKind, UserError
from .schema import Setting

LARGEST_PICTURE = 16384  # pixels along a side

Array = npt.NDArray[Any]
Identifier = Annotated[str, msgspec.Meta(max_length=128)]
LONGEST_NAME = 200
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
PathText = Annotated[str, msgspec.Meta(max_length=4096)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # also of bytes
Side = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PICTURE)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]
Matrix = tuple[
    float, float, float, float, float, float, float, float, float, float, float, float, float, float, float, float
]  # 4x4, row after row
IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
Bounds = tuple[float, float, float, float, float, float]  # lowest x, y, z, then highest
Direction = tuple[float, float, float]
Point = tuple[float, float, float]
Color = tuple[float, float, float]  # sRGB 0..1
SettingValue = bool | int | float | str | None
Quality = Literal["draft", "normal", "high"]
JobStatus = Literal["queued", "running", "paused", "finished", "stopped", "cancelled", "failed"]
ENDED: frozenset[JobStatus] = frozenset({"finished", "stopped", "cancelled", "failed"})
READING = frozenset({"meshing", "evaluation", "selection"})  # categories of jobs that make no version of their asset
PixelType = Literal["uint8", "float16", "float32"]
SplatColors = Literal["own", "binding", "normals", "depth"]  # docs/protocol.md, section 11
# A suffix without its first dot: "ply", "compressed.ply". `Catalog.formats` says which there are.
FileFormat = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-z]{1,20}(\.[0-9a-z]{1,20})?\Z")]
Suffix = Annotated[str, msgspec.Meta(pattern=r"\A(\.[0-9a-z]{1,20}){1,2}\Z")]  # of a file's name
FrameName = Annotated[str, msgspec.Meta(max_length=16)]  # "opencv", "z_up", "y_up", or three letters such as "RUB"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something that messages are made of."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that is said."""


class Failed(Message, frozen=True):
    """A `UserError`, or a mistake of ours."""

    kind: ErrorKind | Literal["mistake"]
    message: str
    hint: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: UserError) -> Failed:
        return cls(kind=error.kind, message=error.message, hint=error.hint, fix=error.fix)


class JobState(Part, frozen=True):
    job: Identifier
    name: Name
    method: Identifier
    status: JobStatus
    category: Name = "training"  # of the method
    asset: Identifier = ""  # what it writes, or (READING) only reads; the head follows a training while it runs
    version: Identifier = ""  # that it made; "" = none yet, or it makes none
    apart: Identifier = ""  # an asset of its own that an edit made of a part; "" = none
    selection: Identifier = ""  # of that version: what is selected after an edit
    hidden: Identifier = ""  # of that version: what is hidden after an edit
    stage: str = ""
    step: int = 0
    steps: int = 0
    figures: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    submitted: float = 0.0  # seconds since 1970
    resumed: int = 0  # how often it went on after its process had died
    failure: Failed | None = None


class PlacedAsset(Part, frozen=True):
    """A version of another asset, and how it is carried into the frame of the one that is edited."""

    asset: Identifier
    version: Identifier = ""
    asset_from_other: Matrix = IDENTITY


class AssetInfo(Part, frozen=True):
    asset: Identifier
    name: Name
    head: Identifier  # the newest version; "" = there is none yet
    splats: Count = 0
    bytes: Count = 0  # of all versions on the disk
    created: float = 0.0  # seconds since 1970
    job: Identifier = ""  # that is writing it now
    bounds: Bounds | None = None  # of the head, without stray splats; None = unknown
    up: Direction = (0.0, 0.0, 0.0)  # in the asset's frame, as the capture's cameras stood; zeros = unknown
    frame: FrameName = "opencv"  # which way the axes of the asset's numbers point, as its file said or is assumed
    notes: tuple[str, ...] = ()  # a sentence each: what its file had that was left out, or what was assumed


class VersionInfo(Part, frozen=True):
    version: Identifier
    asset: Identifier
    parent: Identifier = ""
    label: str = ""  # what made it, in a few words
    splats: Count = 0
    bytes: Count = 0
    created: float = 0.0  # seconds since 1970
    bounds: Bounds | None = None  # in the asset's frame, without stray splats; None = unknown
    bound_vertices: Count = 0  # of the mesh that it is bound to, which `PoseMesh` moves; 0 = it is not bound
    mesh_bounds: Bounds | None = None  # of that mesh at rest, in the asset's frame; None = unknown, or it is not bound
    bound_splats: Count | None = None  # how many follow it; None = unknown, as of versions of earlier days
    far_splats: Count | None = None  # of these, how many are too far from it to be stretched with it
    sh_degree: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    antialiased: bool = False  # how it wants to be drawn


class MethodInfo(Part, frozen=True):
    id: Identifier
    category: str
    label: str
    help: str
    settings: tuple[Setting, ...] = ()
    takes_mesh: bool = False  # a training that is on a given mesh, and on nothing else


class FormatInfo(Part, frozen=True):
    """A kind of splat file."""

    name: Identifier
    label: str
    suffixes: tuple[Suffix, ...]  # the usual one first
    reads: bool
    writes: bool
    frame: FrameName  # that is assumed where the file is silent, and written unless another one is asked for
    sh_degree: Annotated[int, msgspec.Meta(ge=0, le=4)]  # the highest that it holds


class ExportChoices(Part, frozen=True):
    """How splats are written into a file.

    frame: that the numbers are written in. "" = as the format prescribes; the asset's own where it prescribes none.
    world_from_object: carries the asset's numbers into Blender's world (z up), from where they are turned into
        `frame`; shapes and view-dependent colours follow. None = they stay where they are.
    sh_degree: the highest that is written; None = as many as there are.
    pose: a name that `PoseMesh` gave; the splats are written as the moved mesh takes them. "" = at rest.
    split_beyond: splats that the pose makes more than so many times as long are split into parts; None = none is, so
        that the files of an animation hold the same splats in the same order.
    """

    frame: FrameName = ""
    world_from_object: Matrix | None = None
    sh_degree: Annotated[int, msgspec.Meta(ge=0, le=4)] | None = None
    pose: Identifier = ""
    split_beyond: Annotated[float, msgspec.Meta(gt=1)] | None = None

    def __post_init__(self) -> None:
        if self.world_from_object is not None and not all(map(math.isfinite, self.world_from_object)):
            raise ValueError("an object's transform needs finite numbers")


AS_STORED = ExportChoices()


class FolderCapture(Part, frozen=True, tag=True):
    """A capture on a disk of the backend's machine."""

    path: PathText


class UploadedCapture(Part, frozen=True, tag=True):
    id: Sha256


class ManifestFile(Part, frozen=True):
    """One file of a capture; `path` is relative, with "/"."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    size: Count
    sha256: Sha256


class ViewCamera(Part, frozen=True):
    """Camera axes are OpenCV's: x right, y down, z forward.

    fx, fy, cx, cy: in pixels; the centre of the first pixel is (0.5, 0.5). Orthographic: fx, fy = pixels per unit.
    """

    camera_from_world: Matrix
    fx: float
    fy: float
    cx: float
    cy: float
    width: Side
    height: Side
    near: float = 0.01
    far: float = 1e10
    orthographic: bool = False

    def __post_init__(self) -> None:
        numbers = (*self.camera_from_world, self.fx, self.fy, self.cx, self.cy, self.near, self.far)
        if not all(map(math.isfinite, numbers)) or self.fx <= 0 or self.fy <= 0 or not 0 < self.near < self.far:
            raise ValueError("a camera needs finite numbers, positive focal lengths and 0 < near < far")


class CapturedView(Part, frozen=True):
    """A photo and the camera that took it, in the capture's frame."""

    name: Annotated[str, msgspec.Meta(max_length=4096)]  # path below the capture's folder, with "/"
    path: PathText  # of the photo, on the backend's machine
    camera: ViewCamera  # the pinhole part, on the photo's full pixel grid
    distorted: bool = False  # the photo is not quite what the pinhole camera sees
    held_out: bool = False  # never trained on


class MeasuredView(Part, frozen=True):
    """How much a version's splats, seen by the camera that took a photo, look like that photo."""

    name: Annotated[str, msgspec.Meta(max_length=4096)]  # as in `CapturedView`
    psnr: float  # dB; higher is better
    ssim: float  # at most 1; higher is better
    held_out: bool = False  # never trained on


class SceneObject(Part, frozen=True):
    """An asset as it stands in the scene."""

    asset: Identifier
    version: Identifier = ""  # "" = the head, which follows a running job
    world_from_object: Matrix = IDENTITY
    visible: bool = True
    pose: Identifier = ""  # of `PoseMesh`, said before for this asset and version; "" = at rest
    colors: SplatColors = "own"
    selection: Identifier = ""  # of that version: splats that are tinted as selected; "" = none
    hidden: Identifier = ""  # of that version: splats that are not drawn; "" = none

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.world_from_object)):
            raise ValueError("an object's transform needs finite numbers")
