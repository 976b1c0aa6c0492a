"""The backend as a script or the extension sees it: jobs, assets, pictures and files as plain calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from . import transfer
from .errors import UserError
from .messages import (
    AllowFolder,
    AssetList,
    CancelJob,
    CaptureViews,
    Catalog,
    DeleteAsset,
    Done,
    FetchMesh,
    FetchPhoto,
    FetchSplats,
    FiguresOfViews,
    GetJob,
    HoldVersions,
    ImportFile,
    ImportUpload,
    JobAccepted,
    JobList,
    ListAssets,
    ListFigures,
    ListJobs,
    ListMethods,
    ListVersions,
    ListViews,
    MeasureViews,
    MeshData,
    PauseJob,
    PhotoData,
    Picture,
    PoseMesh,
    RenameAsset,
    Render,
    ResumeJob,
    RunMethod,
    Splats,
    Superseded,
    Train,
    VersionList,
)
from .remote_connection import REQUEST_S, BackendMistake, RemoteConnection
from .remote_job import Job
from .things import (
    AS_STORED,
    ENDED,
    Array,
    AssetInfo,
    CapturedView,
    ExportChoices,
    FileFormat,
    FolderCapture,
    JobState,
    MeasuredView,
    Message,
    MethodInfo,
    UploadedCapture,
    VersionInfo,
)
from .transfer import Stop

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_LOOK_AGAIN_S = 5.0  # at a job, although no event came
FILE_S = 3600.0  # whole files are read or written meanwhile


class Backend(RemoteConnection):
    """A connected backend. Every call may come from any thread, and raises UserError for what the user can mend."""

    # ---- jobs

    def methods(self) -> tuple[MethodInfo, ...]:
        return self.request(ListMethods(), Catalog).methods

    def train(
        self,
        capture: Path | str,
        name: str = "",
        *,
        on_progress: Progress | None = None,
        stop: Stop | None = None,
        **options: Any,
    ) -> Job:
        """Trains a capture folder of this machine; a backend on another machine gets a copy, but only once.

        options: the fields of `Train`. on_progress: bytes sent, bytes in all. stop: ends the sending when it is set,
        by TransferStopped; sent again, the capture goes on where it was.
        """
        folder = Path(capture).absolute()
        where = self._reached_capture(folder, on_progress, stop)
        request = Train(name=name or folder.name, capture=where, **options)
        return Job(self, self.request(request, JobAccepted).job.job)

    def run_method(self, method: str, asset: str, version: str = "", **options: Any) -> Job:
        """Edits, meshes or rigs a version of an asset; "" = its head. options: the fields of `RunMethod`."""
        request = RunMethod(method=method, asset=asset, version=version, **options)
        return Job(self, self.request(request, JobAccepted).job.job)

    def mesh(self, job: str) -> MeshData:
        """What a finished job of the category "meshing" made."""
        return self.request(FetchMesh(job=job), MeshData, FILE_S)

    def bound_mesh(self, asset: str, version: str = "") -> MeshData:
        """The mesh at rest that a version is bound to."""
        return self.request(FetchMesh(asset=asset, version=version), MeshData, FILE_S)

    def measure_views(self, asset: str, version: str = "", capture: Path | str | None = None, **sending: Any) -> Job:
        """Compares a version with every photo of a capture; None = the one that it was trained on, or measured with.

        sending: on_progress and stop, as in `train`.
        """
        where = None if capture is None else self._reached_capture(Path(capture).absolute(), **sending)
        request = MeasureViews(asset=asset, version=version, capture=where)
        return Job(self, self.request(request, JobAccepted).job.job)

    def figures(self, asset: str, version: str = "") -> tuple[MeasuredView, ...]:
        """How well each view of a version looks, by name; none when nobody has measured it."""
        found: list[MeasuredView] = []
        while True:
            page = self.request(ListFigures(asset=asset, version=version, first=len(found)), FiguresOfViews)
            found += page.views
            if not page.views or len(found) >= page.total:
                return tuple(found)

    def photo(self, asset: str, view: str, version: str = "", *, longer_side: int = 1600) -> PhotoData:
        """The photo of a measured view as the splats were compared with it, and the camera that sees the same."""
        request = FetchPhoto(asset=asset, version=version, view=view, longer_side=longer_side)
        return self.request(request, PhotoData, FILE_S)

    def views(
        self, capture: Path | str, *, on_progress: Progress | None = None, stop: Stop | None = None
    ) -> tuple[CapturedView, ...]:
        """The posed photos of a capture folder of this machine, by name. on_progress, stop: as in `train`."""
        where = self._reached_capture(Path(capture).absolute(), on_progress, stop)
        found: list[CapturedView] = []
        while True:
            page = self.request(ListViews(capture=where, first=len(found)), CaptureViews, FILE_S)
            found += page.views
            if not page.views or len(found) >= page.total:
                return tuple(found)

    def _reached_capture(
        self, folder: Path, on_progress: Progress | None = None, stop: Stop | None = None
    ) -> FolderCapture | UploadedCapture:
        if self.is_local:
            self.request(AllowFolder(path=str(folder)), Done)
            return FolderCapture(path=str(folder))
        return UploadedCapture(id=self.send_capture(folder, on_progress, stop))

    @property
    def is_local(self) -> bool:
        return self.welcome is not None and self.welcome.local

    def jobs(self) -> tuple[JobState, ...]:
        return self.request(ListJobs(), JobList).jobs

    def job(self, id: str) -> Job:
        """Takes up a job again, whoever started it. Raises UserError when there is none with this id."""
        self.job_state(id)
        return Job(self, id)

    def job_state(self, id: str) -> JobState:
        return self.only_job(GetJob(job=id))

    def only_job(self, message: GetJob | PauseJob | ResumeJob | CancelJob) -> JobState:
        return self.request(message, JobList).jobs[0]

    def wait_for_job(self, id: str, timeout_s: float | None = None) -> JobState:
        """Waits through a restart of the backend, too. Raises UserError when the job failed, or TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with self._changed:
                heard = self._heard
            try:
                state = self.job_state(id)
            except UserError as error:
                if error.kind != "connection":
                    raise
                self._wait_for_return()
                continue
            if state.status in ENDED:
                return _whole(state)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"job {id} is still {state.status}")
            with self._changed:
                self._changed.wait_for(lambda heard=heard: self._heard != heard, _LOOK_AGAIN_S)

    # ---- pictures and assets

    def render(self, request: Render, timeout_s: float = REQUEST_S) -> Picture | None:
        """None when a newer request of the same stream took its place."""
        said = self.request(request, Message, timeout_s)
        if isinstance(said, Superseded):
            return None
        if not isinstance(said, Picture):
            raise BackendMistake(f"The backend answered {type(said).__name__} to Render.")
        return said

    def pose(self, pose: str, asset: str, vertices: Array, version: str = "") -> None:
        """Moves the mesh that a version is bound to; `SceneObject(..., pose=pose)` draws it so from then on."""
        self.request(PoseMesh(pose=pose, asset=asset, vertices=vertices, version=version), Done)

    def assets(self) -> tuple[AssetInfo, ...]:
        return self.request(ListAssets(), AssetList).assets

    def versions(self, asset: str) -> tuple[VersionInfo, ...]:
        return self.request(ListVersions(asset=asset), VersionList).versions

    def rename(self, asset: str, name: str) -> None:
        self.request(RenameAsset(asset=asset, name=name), Done)

    def delete(self, asset: str) -> None:
        self.request(DeleteAsset(asset=asset), Done)

    def hold(self, kind: Literal["file", "session"], holder: str, versions: Sequence[str]) -> None:
        """Keeps these versions while the file or session reaches them, and no others that it held before."""
        self.request(HoldVersions(kind=kind, holder=holder, versions=tuple(versions)), Done)

    def splats(self, asset: str, version: str = "", most: int = 0) -> Splats:
        """most: as in `FetchSplats`."""
        return self.request(FetchSplats(asset=asset, version=version, most=most), Splats, FILE_S)

    def import_file(
        self,
        path: Path | str,
        name: str = "",
        *,
        frame: str = "",
        asset: str = "",
        on_progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> AssetInfo:
        """A splat file of this machine becomes an asset, or a new version of `asset`.

        frame: as in `ImportFile`; the others as in `train`.
        """
        path = Path(path).absolute()
        if self.is_local:
            self.request(AllowFolder(path=str(path.parent)), Done)
            answer = self.request(ImportFile(path=str(path), name=name, frame=frame, asset=asset), AssetList, FILE_S)
        else:
            upload = self.send_file(path, on_progress, stop)
            request = ImportUpload(upload=upload, file_name=path.name, name=name, frame=frame, asset=asset)
            answer = self.request(request, AssetList, FILE_S)
        return answer.assets[0]

    # ---- files

    def send_file(self, path: Path, on_progress: Progress | None = None, stop: Stop | None = None) -> str:
        """Sends a file, or what is missing of it. Returns the SHA-256 that names it from now on."""
        return transfer.send_file(self, path, on_progress or _nobody, stop or Stop())

    def send_capture(self, folder: Path, on_progress: Progress | None = None, stop: Stop | None = None) -> str:
        """Sends a capture folder, or what is missing of it. Returns its id."""
        return transfer.send_capture(self, folder, on_progress or _nobody, stop or Stop())

    def fetch_file(
        self,
        asset: str,
        version: str,
        path: Path,
        format: FileFormat = "ply",
        on_progress: Progress | None = None,
        choices: ExportChoices = AS_STORED,
    ) -> None:
        """Writes a version of an asset to a file of this machine, whole or not at all."""
        transfer.fetch_file(self, asset, version, path, format, choices, on_progress or _nobody)


def _nobody(_done: int, _all: int) -> None:
    pass


def _whole(state: JobState) -> JobState:
    failure = state.failure
    if failure is None:
        return state
    if failure.kind == "mistake":
        raise BackendMistake(failure.message)
    raise UserError(failure.kind, failure.message, failure.hint, failure.fix)
