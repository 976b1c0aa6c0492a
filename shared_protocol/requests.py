"""What a client says; docs/protocol.md says when, and what answers it. `messages.py` has them all."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from .limits import FILES_A_PAGE
from .shapes import check_mesh, check_vertices
from .things import (
    AS_STORED,
    Array,
    Count,
    ExportChoices,
    FileFormat,
    FolderCapture,
    FrameName,
    Identifier,
    ManifestFile,
    Matrix,
    Message,
    Name,
    PathText,
    PixelType,
    PlacedAsset,
    Point,
    Quality,
    SceneObject,
    Seconds,
    SettingValue,
    Sha256,
    Side,
    UploadedCapture,
    ViewCamera,
)


class Hello(Message, frozen=True):
    version: int
    client: Name = ""


class JoinBulk(Message, frozen=True):
    session: Identifier


class Beat(Message, frozen=True):
    pass


class ListMethods(Message, frozen=True):
    pass


class AllowFolder(Message, frozen=True):
    path: PathText


class Train(Message, frozen=True):
    """The job's asset appears at once, with the job's name; `start_asset` gets a new version instead."""

    name: Name
    capture: FolderCapture | UploadedCapture
    method: Identifier = ""  # "" = the default
    settings: dict[str, SettingValue] = msgspec.field(default_factory=dict[str, SettingValue])  # of the method
    quality: Quality = "normal"
    steps: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    max_splats: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | None = None
    resolution: Side | None = None  # longer side of a photo in pixels
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | None = None
    masks: Literal["auto", "ignore", "segment", "alpha", "off"] = "auto"
    strict: bool = False  # a missing photo is an error
    start_asset: Identifier = ""  # whose splats training goes on from, with their edits; "" = it begins with points
    start_version: Identifier = ""  # "" = the head
    start_selection: Identifier = ""  # of that version: it is carried to what the training makes; "" = none
    start_hidden: Identifier = ""  # of that version: likewise
    learns: Literal["all", "selection"] = "all"  # what of the start may change
    vertices: Array | None = None  # [V, 3] float32, of the mesh at rest in the capture's frame; of `takes_mesh` methods
    faces: Array | None = None  # [F, 3] int32

    def __post_init__(self) -> None:
        check_mesh(self.vertices, self.faces)


class RunMethod(Message, frozen=True):
    """Any method but a training, on a version of an asset. Methods that edit or rig do not wait for trainings."""

    method: Identifier
    asset: Identifier
    version: Identifier = ""
    settings: dict[str, SettingValue] = msgspec.field(default_factory=dict[str, SettingValue])  # of the method
    name: Name = ""  # of the job; "" = the method's label
    box: Matrix | None = None  # asset_from_box: carries the cube from -1 to 1 into the asset's frame
    matrix: Matrix | None = None  # an affine map of the asset's frame
    points: Annotated[tuple[Point, ...], msgspec.Meta(max_length=10_000)] = ()  # that were picked, in the asset's frame
    others: Annotated[tuple[PlacedAsset, ...], msgspec.Meta(max_length=256)] = ()  # to be taken in
    selection: Identifier = ""  # of the version: the splats that an edit is about; "" = all
    hidden: Identifier = ""  # of the version: what is hidden stays so in the version that an edit makes
    vertices: Array | None = None  # [V, 3] float32, of a mesh in the asset's frame
    faces: Array | None = None  # [F, 3] int32
    weights: Array | None = None  # [V] float32 0..1: how strongly splats follow each vertex; None = 1
    far_weights: Array | None = None  # [V] float32 0..1, of the vertices that far splats follow as one

    def __post_init__(self) -> None:
        for weights in (self.weights, self.far_weights):
            _check_weights(weights, self.vertices)
        if self.box is not None and not all(map(math.isfinite, self.box)):
            raise ValueError("a box needs finite numbers")
        for numbers in (self.matrix or (), *self.points, *(other.asset_from_other for other in self.others)):
            if not all(map(math.isfinite, numbers)):
                raise ValueError("maps and points need finite numbers")
        check_mesh(self.vertices, self.faces)


class MeasureViews(Message, frozen=True):
    """Compares a version with every photo of a capture, as a job of the category "evaluation"."""

    asset: Identifier
    version: Identifier = ""
    capture: FolderCapture | UploadedCapture | None = None  # None = that of the last figures, or of the training
    name: Name = ""  # of the job


class ListFigures(Message, frozen=True):
    """How well each measured view of a version looks, a page at a time."""

    asset: Identifier
    version: Identifier = ""
    first: Count = 0  # how many views were had before


class FetchPhoto(Message, frozen=True):
    """The photo of a measured view, as it was compared but at another size."""

    asset: Identifier
    view: Annotated[str, msgspec.Meta(max_length=4096)]  # a `MeasuredView.name`
    version: Identifier = ""
    longer_side: Side = 1600  # pixels at most; a photo is never made larger


class ListJobs(Message, frozen=True):
    pass


class GetJob(Message, frozen=True):
    job: Identifier


class PauseJob(Message, frozen=True):
    job: Identifier


class ResumeJob(Message, frozen=True):
    job: Identifier


class CancelJob(Message, frozen=True):
    job: Identifier
    keep: bool = False  # keep what there is as a version of the asset


class WatchJob(Message, frozen=True):
    job: Identifier
    every_s: Seconds = 1.0  # 0 = no more previews


class ListAssets(Message, frozen=True):
    pass


class ListVersions(Message, frozen=True):
    asset: Identifier


class RenameAsset(Message, frozen=True):
    asset: Identifier
    name: Name


class DeleteAsset(Message, frozen=True):
    asset: Identifier


class HoldVersions(Message, frozen=True):
    """From now on a saved file, or an open session by undo, reaches these versions; none = it reaches nothing."""

    kind: Literal["file", "session"]
    holder: PathText  # the file's path, or a name for the session
    versions: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=10_000)]


class ImportFile(Message, frozen=True):
    path: PathText
    name: Name = ""  # "" = the file's
    frame: FrameName = ""  # that its numbers really are in; "" = as the file says, or as is assumed of its format
    asset: Identifier = ""  # that gets a new version of it, with the numbers in the asset's frame; "" = a new asset


class ImportUpload(Message, frozen=True):
    upload: Sha256
    file_name: Name  # its suffix tells the format where the content does not
    name: Name = ""
    frame: FrameName = ""  # as in `ImportFile`
    asset: Identifier = ""


class ExportFile(Message, frozen=True):
    asset: Identifier
    path: PathText
    version: Identifier = ""
    choices: ExportChoices = AS_STORED


class FetchSplats(Message, frozen=True):
    asset: Identifier
    version: Identifier = ""
    most: Count = 0  # so many of them, drawn evenly from all; 0 = all


class FetchMesh(Message, frozen=True):
    """The mesh that a finished job made, or at rest the one that a version is bound to."""

    job: Identifier = ""
    asset: Identifier = ""  # instead of a job
    version: Identifier = ""

    def __post_init__(self) -> None:
        if bool(self.job) == bool(self.asset):
            raise ValueError("a mesh is that of a job or of an asset")


class PoseMesh(Message, frozen=True):
    """Where the vertices of the mesh are now that a version is bound to; `SceneObject.pose` draws it so."""

    pose: Annotated[Identifier, msgspec.Meta(min_length=1)]  # a name that nobody else uses; said again, it is replaced
    asset: Identifier
    vertices: Array  # [V, 3] float32, in the asset's frame, as many as the version's `bound_vertices`
    version: Identifier = ""

    def __post_init__(self) -> None:
        check_vertices(self.vertices)


class ListViews(Message, frozen=True):
    """The posed photos of a capture, a page at a time."""

    capture: FolderCapture | UploadedCapture
    first: Count = 0  # how many views, by name, were had before


class Render(Message, frozen=True):
    objects: tuple[SceneObject, ...]
    camera: ViewCamera
    time: float = 0.0
    appearance: int = 0
    pixels: PixelType = "uint8"
    depth: bool = True
    spread: bool = False
    antialiased: bool = False
    surface_depth: Array | None = None  # [H, W] or [H, W, 4] float32, distance along z at which the blend stops
    surface_vertices: Array | None = None  # [V, 3] float32, world: opaque triangles from which the backend makes
    surface_faces: Array | None = None  # [F, 3] int32   such a depth itself; the nearer of both counts
    stream: Name = ""  # of several requests with one stream only the newest is answered by a picture
    compress: bool = False  # the picture comes packed: worth it on a slow way only

    def __post_init__(self) -> None:
        if not math.isfinite(self.time):
            raise ValueError("time needs a finite number")
        surface = self.surface_depth
        size = (self.camera.height, self.camera.width)
        if surface is not None and (surface.shape not in (size, (*size, 4)) or surface.dtype != np.float32):
            raise ValueError(f"surface_depth must be float32 {size} or {(*size, 4)}")
        check_mesh(self.surface_vertices, self.surface_faces)


class GrantFrames(Message, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1


class OpenUpload(Message, frozen=True):
    size: Count
    sha256: Sha256


class UploadChunk(Message, frozen=True):
    upload: Sha256
    offset: Count
    data: Array  # uint8 [bytes]


class BeginCapture(Message, frozen=True):
    id: Sha256
    name: Name
    files: Annotated[int, msgspec.Meta(ge=1, le=200_000)]
    bytes: Count


class AddCaptureFiles(Message, frozen=True):
    id: Sha256
    files: Annotated[tuple[ManifestFile, ...], msgspec.Meta(min_length=1, max_length=FILES_A_PAGE)]


class FinishCapture(Message, frozen=True):
    id: Sha256


class OpenDownload(Message, frozen=True):
    asset: Identifier
    version: Identifier
    format: FileFormat = "ply"
    choices: ExportChoices = AS_STORED


class WantChunk(Message, frozen=True):
    download: Identifier
    offset: Count


class CloseDownload(Message, frozen=True):
    download: Identifier


def _check_weights(weights: Array | None, vertices: Array | None) -> None:
    if weights is None:
        return
    if vertices is None or weights.dtype != np.float32 or weights.shape != vertices.shape[:1]:
        raise ValueError("weights must be float32 [V], of the vertices of a mesh")
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError("weights must be from 0 to 1")
