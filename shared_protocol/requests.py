"""What a client says; docs/protocol.md says when, and what answers it. `messages.py` has them all."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np

from .limits import FILES_A_PAGE
from .things import (
    Array,
    Count,
    FileFormat,
    FolderCapture,
    Identifier,
    ManifestFile,
    Message,
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
