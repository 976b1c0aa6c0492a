"""Answers the requests that are one call of the desk."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, assert_never

import msgspec

from backend.server.allowed_folders import AllowedFolders
from backend.server.incoming import Incoming
from backend.server.seam import Desk
from shared_protocol.errors import UserError
from shared_protocol.messages import (
    AllowFolder,
    AssetList,
    CancelJob,
    DeleteAsset,
    Done,
    ExportFile,
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
    PauseJob,
    PoseMesh,
    RenameAsset,
    ResumeJob,
    RunMethod,
    Train,
    VersionList,
)
from shared_protocol.things import AssetInfo, FolderCapture, Message

QuickRequest = (
    ListMethods
    | AllowFolder
    | Train
    | RunMethod
    | PoseMesh
    | ListJobs
    | GetJob
    | PauseJob
    | ResumeJob
    | CancelJob
    | ListAssets
    | ListVersions
    | RenameAsset
    | DeleteAsset
    | HoldVersions
)
Wish = TypeVar("Wish", Train, MeasureViews)
FileRequest = ImportFile | ImportUpload | ExportFile | ListViews | MeasureViews | ListFigures


class Answers:
    def __init__(self, desk: Desk, folders: AllowedFolders, incoming: Incoming) -> None:
        self._desk, self._folders, self._incoming = desk, folders, incoming

    def quick(self, request: QuickRequest) -> Message:
        """Raises UserError for what the user can mend."""
        match request:
            case ListMethods():
                return self._desk.methods()
            case AllowFolder():
                self._folders.allow(request.path)
                return Done()
            case Train():
                return JobAccepted(job=self._desk.submit(self._with_checked_path(request)))
            case RunMethod():
                return JobAccepted(job=self._desk.run_method(request))
            case PoseMesh():
                self._desk.pose(request)
                return Done()
            case ListJobs():
                return JobList(jobs=self._desk.jobs())
            case GetJob():
                return JobList(jobs=(self._desk.job(request.job),))
            case PauseJob():
                return JobList(jobs=(self._desk.pause(request.job),))
            case ResumeJob():
                return JobList(jobs=(self._desk.resume(request.job),))
            case CancelJob():
                return JobList(jobs=(self._desk.cancel(request.job, request.keep),))
            case ListAssets():
                return AssetList(assets=self._desk.assets())
            case ListVersions():
                return VersionList(versions=self._desk.versions(request.asset))
            case RenameAsset():
                self._desk.rename(request.asset, request.name)
                return Done()
            case DeleteAsset():
                self._desk.delete(request.asset)
                return Done()
            case HoldVersions():
                self._desk.hold(request.kind, request.holder, request.versions)
                return Done()
            case _:
                assert_never(request)

    def about_files(self, request: FileRequest) -> Message:
        """May take long. Raises UserError for what the user can mend."""
        match request:
            case ImportFile():
                path = self._folders.check(request.path)
                info = self._desk.import_file(path, request.name or path.stem, request.frame, request.asset)
                return AssetList(assets=(info,))
            case ImportUpload():
                return AssetList(assets=(self._import_upload(request),))
            case ExportFile():
                path = self._folders.check(request.path)
                self._desk.export_file(request.asset, request.version, path, request.choices)
                return Done()
            case ListViews(capture=capture):
                folder = self._folders.check(capture.path) if isinstance(capture, FolderCapture) else capture.id
                return self._desk.views(folder, request.first)
            case ListFigures():
                return self._desk.figures(request.asset, request.version, request.first)
            case MeasureViews():
                return JobAccepted(job=self._desk.measure(self._with_checked_path(request)))
            case _:
                assert_never(request)

    def _import_upload(self, request: ImportUpload) -> AssetInfo:
        # Only the end of the client's file name is used: it says what the bytes are.
        suffix = "".join(Path(request.file_name).suffixes[-2:])
        if not suffix.isascii() or not suffix.replace(".", "").isalnum() or len(suffix) > 20:
            raise UserError("bad_input", f"'{request.file_name}' does not say what kind of file it is.")
        source = self._incoming.path(request.upload)
        named = source.with_name(f"{source.name}.import{suffix}")
        named.unlink(missing_ok=True)
        named.hardlink_to(source)
        try:
            name = request.name or Path(request.file_name).stem
            return self._desk.import_file(named, name, request.frame, request.asset)
        finally:
            named.unlink(missing_ok=True)
            source.unlink(missing_ok=True)  # the asset has its own copy

    def _with_checked_path(self, request: Wish) -> Wish:
        if not isinstance(request.capture, FolderCapture):
            return request
        path = self._folders.check(request.capture.path)
        return msgspec.structs.replace(request, capture=FolderCapture(path=str(path)))
