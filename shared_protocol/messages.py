"""Every message that Blender and the backend exchange, in one place to import them from.

What a client says is written in `requests.py`, what the backend says in `replies.py`; docs/protocol.md says when.
"""

from __future__ import annotations

from .limits import *  # noqa: F403  these numbers, too, are to be had from here
from .replies import (
    Alive,
    AssetChanged,
    AssetList,
    AssetRemoved,
    CaptureMissing,
    CaptureOpened,
    CaptureReady,
    CaptureViews,
    Catalog,
    ChunkTaken,
    Done,
    DownloadChunk,
    DownloadOpened,
    FiguresOfViews,
    JobAccepted,
    JobChanged,
    JobList,
    JobNote,
    JobProgress,
    Joined,
    MeshData,
    PackedPicture,
    PhotoData,
    Picture,
    Preview,
    Splats,
    Superseded,
    UploadOpened,
    VersionList,
    Welcome,
)
from .requests import (
    AddCaptureFiles,
    AllowFolder,
    Beat,
    BeginCapture,
    CancelJob,
    CloseDownload,
    DeleteAsset,
    ExportFile,
    FetchMesh,
    FetchPhoto,
    FetchSplats,
    FinishCapture,
    GetJob,
    GrantFrames,
    Hello,
    HoldVersions,
    ImportFile,
    ImportUpload,
    JoinBulk,
    ListAssets,
    ListFigures,
    ListJobs,
    ListMethods,
    ListVersions,
    ListViews,
    MeasureViews,
    OpenDownload,
    OpenUpload,
    PauseJob,
    PoseMesh,
    RenameAsset,
    Render,
    ResumeJob,
    RunMethod,
    Train,
    UploadChunk,
    WantChunk,
    WatchJob,
)
from .selecting import Select, SelectedSplats, SelectionAnswer, SelectionInfo, SelectionQuestion, SplatValues
from .things import Failed

Request = (
    Hello
    | JoinBulk
    | Beat
    | ListMethods
    | AllowFolder
    | Train
    | RunMethod
    | MeasureViews
    | ListFigures
    | FetchPhoto
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
    | FetchMesh
    | PoseMesh
    | Select
    | SelectionQuestion
    | ListViews
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
Frame = Splats | Preview | Picture | PackedPicture | MeshData | PhotoData | SelectedSplats | SplatValues
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
    | CaptureViews
    | FiguresOfViews
    | SelectionInfo
    | SelectionAnswer
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
