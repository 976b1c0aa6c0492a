"""Every message that Blender and the backend exchange; docs/protocol.md says when, and what answers what."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from .things import (
    Array,
    AssetInfo,
    Count,
    Failed,
    FileFormat,
    FolderCapture,
    Identifier,
    JobState,
    ManifestFile,
    Message,
    MethodInfo,
    Name,
    PathText,
    PixelType,
    Quality,
    SceneObject,
    Seconds,
    SettingValue,
    Sha256,
    Side,
    UploadedCapture,
    VersionInfo,
    ViewCamera,
)

PROTOCOL_VERSION = 1
CONTROL_FRAME_BYTES = 2**20
CHUNK_BYTES = 4 * 2**20
BULK_FRAME_BYTES = CHUNK_BYTES + 2**16
WINDOW = 8  # chunks on their way that nobody has answered yet
FIRST_CREDIT = 2  # frames
FILES_A_PAGE = 1000  # of a capture's manifest


# ---- from the client: requests


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
    """The job's asset appears at once, with the job's name."""

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


class ImportUpload(Message, frozen=True):
    upload: Sha256
    file_name: Name  # its suffix tells the format
    name: Name = ""


class ExportFile(Message, frozen=True):
    asset: Identifier
    path: PathText
    version: Identifier = ""


class FetchSplats(Message, frozen=True):
    asset: Identifier
    version: Identifier = ""


class Render(Message, frozen=True):
    objects: tuple[SceneObject, ...]
    camera: ViewCamera
    time: float = 0.0
    appearance: int = 0
    pixels: PixelType = "uint8"
    depth: bool = True
    antialiased: bool = False
    surface_depth: Array | None = None  # [H, W] float32, distance along z at which the blend stops
    stream: Name = ""  # of several requests with one stream only the newest is answered by a picture

    def __post_init__(self) -> None:
        if not math.isfinite(self.time):
            raise ValueError("time needs a finite number")
        surface = self.surface_depth
        size = (self.camera.height, self.camera.width)
        if surface is not None and (surface.shape != size or surface.dtype != np.float32):
            raise ValueError(f"surface_depth must be float32 {size}")


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


class WantChunk(Message, frozen=True):
    download: Identifier
    offset: Count


class CloseDownload(Message, frozen=True):
    download: Identifier


# ---- from the backend: answers


class Done(Message, frozen=True):
    pass


class Welcome(Message, frozen=True):
    session: Identifier
    version: int
    backend: str  # its version
    device: str
    local: bool  # the client's paths are the backend's
    ended: tuple[str, ...] = ()  # why earlier working processes ended, oldest first
    chunk_bytes: int = CHUNK_BYTES
    window: int = WINDOW


class Joined(Message, frozen=True):
    pass


class Alive(Message, frozen=True):
    busy: bool  # a job runs
    step_age_s: float | None = None  # since the job was last heard of


class Catalog(Message, frozen=True):
    methods: tuple[MethodInfo, ...]


class JobAccepted(Message, frozen=True):
    job: JobState


class JobList(Message, frozen=True):
    jobs: tuple[JobState, ...]


class AssetList(Message, frozen=True):
    assets: tuple[AssetInfo, ...]


class VersionList(Message, frozen=True):
    versions: tuple[VersionInfo, ...]


class Superseded(Message, frozen=True):
    """A newer request of the same stream took its place."""


class UploadOpened(Message, frozen=True):
    upload: Sha256
    offset: Count  # bytes that are here already


class ChunkTaken(Message, frozen=True):
    upload: Sha256
    offset: Count  # bytes that are here now


class CaptureOpened(Message, frozen=True):
    id: Sha256
    complete: bool  # all of it is here


class CaptureMissing(Message, frozen=True):
    sha256s: tuple[Sha256, ...]


class CaptureReady(Message, frozen=True):
    id: Sha256


class DownloadOpened(Message, frozen=True):
    download: Identifier
    size: Count
    file_name: Name


class DownloadChunk(Message, frozen=True):
    download: Identifier
    offset: Count
    data: Array  # uint8 [bytes]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""  # of the whole file, with its last chunk


# ---- from the backend: frames


class Splats(Message, frozen=True):
    """N splats before activation, as `SplatCloud` holds them, float32."""

    means: Array  # [N, 3]
    quats: Array  # [N, 4] w, x, y, z
    log_scales: Array  # [N, 3]
    opacity_logits: Array  # [N]
    sh: Array  # [N, K, 3]


class Preview(Message, frozen=True):
    """The splats of a running job."""

    job: Identifier
    step: int
    splats: Splats


class Picture(Message, frozen=True):
    color: Array  # [H, W, 4] premultiplied
    depth: Array | None = None  # [H, W] float32; 0 where nothing is
    step: int = 0  # of the running job that was drawn; 0 = none
    seconds: float = 0.0  # that the rasterizer took


# ---- from the backend: events


class JobChanged(Message, frozen=True):
    job: JobState


class JobProgress(Message, frozen=True):
    job: Identifier
    stage: str
    step: int
    steps: int
    figures: dict[str, float] = msgspec.field(default_factory=dict[str, float])


class JobNote(Message, frozen=True):
    job: Identifier
    text: str


class AssetChanged(Message, frozen=True):
    asset: AssetInfo


class AssetRemoved(Message, frozen=True):
    asset: Identifier


Request = (
    Hello
    | JoinBulk
    | Beat
    | ListMethods
    | AllowFolder
    | Train
    | ListJobs
    | GetJob
    | PauseJob
    | ResumeJob
    | CancelJob
    | WatchJob
    | ListAssets
    | ListVersions
    | RenameAsset
    | DeleteAsset
    | HoldVersions
    | ImportFile
    | ImportUpload
    | ExportFile
    | FetchSplats
    | Render
    | GrantFrames
    | OpenUpload
    | UploadChunk
    | BeginCapture
    | AddCaptureFiles
    | FinishCapture
    | OpenDownload
    | WantChunk
    | CloseDownload
)
Event = JobChanged | JobProgress | JobNote | AssetChanged | AssetRemoved
Frame = Splats | Preview | Picture
Answer = (
    Failed
    | Done
    | Welcome
    | Joined
    | Alive
    | Catalog
    | JobAccepted
    | JobList
    | AssetList
    | VersionList
    | Superseded
    | UploadOpened
    | ChunkTaken
    | CaptureOpened
    | CaptureMissing
    | CaptureReady
    | DownloadOpened
    | DownloadChunk
)
AddonToBackend = Request
BackendToAddon = Answer | Frame | Event
