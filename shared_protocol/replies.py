"""What the backend says: answers, frames and events; docs/protocol.md says when. `messages.py` has them all."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .limits import CHUNK_BYTES, WINDOW
from .things import (
    Array,
    AssetInfo,
    CapturedView,
    Color,
    Count,
    FormatInfo,
    FrameName,
    Identifier,
    JobState,
    MeasuredView,
    Message,
    MethodInfo,
    Name,
    Part,
    Sha256,
    Suffix,
    VersionInfo,
    ViewCamera,
)

# ---- answers


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
    """What the backend can do. reads, writes: suffixes of splat files, each with its dot, the usual one first.

    frames: the orientations of axes that are in common use; three letters name any other.
    """

    methods: tuple[MethodInfo, ...]
    reads: tuple[Suffix, ...] = (".ply",)
    writes: tuple[Suffix, ...] = (".ply",)
    formats: tuple[FormatInfo, ...] = ()
    frames: tuple[FrameName, ...] = ()


class JobAccepted(Message, frozen=True):
    job: JobState


class JobList(Message, frozen=True):
    jobs: tuple[JobState, ...]


class AssetList(Message, frozen=True):
    assets: tuple[AssetInfo, ...]


class VersionList(Message, frozen=True):
    versions: tuple[VersionInfo, ...]


class CaptureViews(Message, frozen=True):
    views: tuple[CapturedView, ...]  # at most VIEWS_A_PAGE, by name
    total: Count  # of the capture


class FiguresOfViews(Message, frozen=True):
    views: tuple[MeasuredView, ...]  # at most VIEWS_A_PAGE, by name; none = nobody has measured this version
    total: Count  # that were measured


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


# ---- frames


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
    depth: Array | None = None  # [H, W] float32, mean distance along z; 0 where nothing is
    spread: Array | None = None  # [H, W] float32, standard deviation of that distance
    step: int = 0  # of the running job that was drawn; 0 = none
    seconds: float = 0.0  # that the rasterizer took


class PackedArray(Part, frozen=True):
    """An array of `dtype` and `shape`, as `packing.py` makes it smaller."""

    dtype: str
    shape: tuple[Count, ...]
    data: Array  # uint8 [bytes]


class PackedPicture(Message, frozen=True):
    """A `Picture` that was asked for with `compress`."""

    color: PackedArray
    depth: PackedArray | None = None
    spread: PackedArray | None = None
    step: int = 0
    seconds: float = 0.0


class MeshData(Message, frozen=True):
    """A mesh in its asset's frame."""

    vertices: Array  # [V, 3] float32
    faces: Array  # [F, 3] int32, counter-clockwise seen from outside
    colors: Array  # [V, 3] uint8 sRGB, or [0, 3] where there are none
    uvs: Array | None = None  # [F, 3, 2] float32 of each corner on the texture, 0..1, v upward; None = no texture
    texture: Array | None = None  # [N] uint8: the content of a PNG file, sRGB


class PhotoData(Message, frozen=True):
    """A photo, without the bend of its lens, on the background that splats are compared on."""

    color: Array  # [H, W, 4] uint8 sRGB; alpha 0 = the photo's mask says that this pixel does not count
    camera: ViewCamera  # which sees exactly this, in the capture's frame; `near` as it was measured
    background: Color  # behind splats, and behind photos with transparency


# ---- events


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
