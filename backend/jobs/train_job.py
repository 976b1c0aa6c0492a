"""A training as a job of the queue: from the wire's request to a version of an asset."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from backend.captures import Capture
from backend.jobs.device import DeviceKind
from backend.jobs.live import LiveAssets
from backend.jobs.report import TrainReport
from backend.jobs.steered_job import SteeredJob
from backend.jobs.train_request import DEFAULT_METHOD, TrainRequest, check_training
from backend.jobs.training import run_training
from backend.jobs.training_folder import TrainingFolder
from backend.jobs.upright import upward
from backend.jobs.work import Ending
from backend.methods import registry
from backend.rigging.binding import faces_to_hang_on
from backend.splats.cloud import SplatCloud
from backend.splats.io.mesh_files import write_mesh
from backend.splats.moved import moved_cloud
from backend.splats.representation import Representation
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, JobCard, VersionCard, new_id
from backend.store.figures import FiguresStore, Terms, VersionFigures
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingResult
from backend.training.settings import TrainingSettings
from shared_protocol.errors import UserError
from shared_protocol.messages import Train
from shared_protocol.things import FolderCapture, MeasuredView, UploadedCapture

_MESH = "mesh.ply"  # in the job's folder: at rest, as it was told


class TrainJobs:
    """The `Work` of the queue."""

    def __init__(
        self,
        workspace: Workspace,
        device: DeviceKind,
        live: LiveAssets,
        *,
        on_asset: Callable[[str], object],
        on_asset_removed: Callable[[str], object],
    ) -> None:
        """on_asset: an asset, by id, got a version or is written now."""
        self._workspace, self._live = workspace, live
        self._device: DeviceKind = device
        self._assets, self._captures = AssetStore(workspace), CaptureStore(workspace)
        self._selections = SelectionStore(workspace)
        self._on_asset, self._on_asset_removed = on_asset, on_asset_removed

    def accept(self, wish: Train) -> JobCard:
        """The job, and its asset without a version. Raises UserError for what cannot work."""
        job, mesh = new_id(), _mesh_of(wish)
        check_training(self._request(wish, job, mesh is not None, resume=False))
        folder = self._capture_folder(wish)
        if not folder.is_dir():
            raise UserError("not_found", f"There is no capture folder {folder}.", "Check the path.")
        if mesh is not None:
            faces_to_hang_on(mesh)
            self._workspace.job_folder(job).mkdir(parents=True, exist_ok=True)
            write_mesh(self._workspace.job_folder(job) / _MESH, mesh)
            wish = msgspec.structs.replace(wish, vertices=None, faces=None)
        if wish.start_asset:
            wish, asset = self._started(wish)
        else:
            asset = self._assets.create(wish.name, job=job)
        return JobCard(
            id=job,
            created=time.time(),
            name=wish.name,
            method=wish.method or DEFAULT_METHOD,
            status="queued",
            asset=asset.id,
            request=msgspec.Raw(msgspec.json.encode(wish)),
        )

    def _started(self, wish: Train) -> tuple[Train, AssetCard]:
        """What is asked, with its version fixed, and the asset. Raises UserError for selections of another version."""
        asset = self._assets.asset(wish.start_asset)
        version = self._assets.version(asset.id, wish.start_version)
        for selection in (wish.start_selection, wish.start_hidden):
            self._selections.read(version, selection)
        if wish.learns == "selection" and not wish.start_selection:
            raise UserError("bad_input", "No splats are selected that could learn.", "Select some, or train all.")
        return msgspec.structs.replace(wish, start_version=version.id), asset

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        self._assets.asset(card.asset)  # nobody wants the splats of an asset that was deleted
        wish = msgspec.json.decode(card.request, type=Train)
        folder = TrainingFolder(self._workspace.job_folder(card.id) / "training")
        has_mesh = (self._workspace.job_folder(card.id) / _MESH).is_file()
        is_resumed = card.starts > 1 or card.resumed > 0 or folder.path.is_dir()
        request = self._request(wish, card.id, has_mesh, resume=is_resumed)
        folder.path.mkdir(parents=True, exist_ok=True)
        self._on_asset(card.asset)

        selection = hidden = ""

        def write(settings: TrainingSettings, result: TrainingResult) -> None:
            nonlocal selection, hidden
            job.stage("Storing the splats")
            made = self._store(card, wish, settings, result)
            if result.origins is not None:
                selection, hidden = (
                    self._carried(wish, made, result.origins, name)
                    for name in (wish.start_selection, wish.start_hidden)
                )

        def stand_upright(capture: Capture) -> None:
            start = self._start(wish)
            if start is not None and start.moved is not None:
                return  # the user has said which way is up
            self._assets.stand_upright(card.asset, upward(capture))
            self._on_asset(card.asset)

        report = run_training(request, folder, write, job, on_capture=stand_upright)
        figures = {"splats": float(report.splats), "seconds": report.seconds}
        if report.psnr is not None and report.ssim is not None:
            figures |= {"psnr": report.psnr, "ssim": report.ssim}
        version = _version_of(card, report.steps)
        FiguresStore(self._workspace).keep(self._assets.version(card.asset, version), _measured(wish, report))
        steps = int(str(report.plan["steps"]))
        return Ending(report.finished, report.steps, steps, figures, version, selection=selection, hidden=hidden)

    def show(self, card: JobCard, live: Representation) -> None:
        self._live.begin(card.asset, card.id, live)

    def over(self, card: JobCard) -> None:
        self._live.end(card.asset)
        if self._workspace.catalogue.find(AssetCard, card.asset) is not None:
            self._on_asset(card.asset)

    def discard(self, card: JobCard) -> None:
        folder = self._workspace.job_folder(card.id)
        for leftover in sorted(folder.glob("*")):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            elif leftover.name != "job.json":
                leftover.unlink()
        for version in self._assets.versions(card.asset):
            if version.job == card.id:
                self._assets.remove(version)
        known = self._workspace.catalogue.find(AssetCard, card.asset)
        if known is not None and known.job == card.id and not self._assets.versions(card.asset):
            self._assets.discard(card.asset)
            if not known.deleted:
                self._on_asset_removed(card.asset)

    def _carried(self, wish: Train, made: VersionCard, origins: np.ndarray, selection: str) -> str:
        """A selection of the start as one of what was made of it: of splats that come from selected ones."""
        start = self._assets.version(wish.start_asset, wish.start_version)
        return self._selections.keep(made, self._selections.read(start, selection)[origins])

    def _store(self, card: JobCard, wish: Train, settings: TrainingSettings, result: TrainingResult) -> VersionCard:
        label = f"{registry.find(card.method).label}, {result.steps:,} steps"
        identifier = _version_of(card, result.steps)
        extra, start = None, self._start(wish)
        if result.origins is not None and start is not None:
            extra = {name: column[result.origins] for name, column in self._assets.extra(start).items()}
        made = self._assets.add(
            card.asset,
            result.cloud,
            label=label,
            job=card.id,
            parent="" if start is None else start.id,
            moved=None if start is None else start.moved,
            photo_edits=() if start is None else start.edits,
            extra=extra,
            antialiased=settings.antialiased,
            binding=None if result.binding is None else result.binding.to_arrays(),
            identifier=identifier,
        )
        self._live.end(card.asset)
        self._on_asset(card.asset)
        return made

    def _request(self, wish: Train, job: str, has_mesh: bool, *, resume: bool) -> TrainRequest:
        folder, start = self._workspace.job_folder(job), self._start(wish)
        return TrainRequest(
            capture=self._capture_folder(wish),
            output=Path(wish.name),
            report=folder / "report.json",
            method=wish.method or DEFAULT_METHOD,
            quality=wish.quality,
            settings=wish.settings,
            mesh=folder / _MESH if has_mesh else None,
            given=(lambda: self._given(wish)) if wish.start_asset else None,
            frame_from_capture=None if start is None else start.frame_from_made,
            steps=wish.steps,
            max_splats=wish.max_splats,
            resolution=wish.resolution,
            seed=wish.seed,
            device=self._device,
            masks=wish.masks,
            strict=wish.strict,
            resume=resume,
        )

    def _start(self, wish: Train) -> VersionCard | None:
        """The version that training goes on from; None = it starts from points or a mesh."""
        return self._assets.version(wish.start_asset, wish.start_version) if wish.start_asset else None

    def _given(self, wish: Train) -> GivenSplats:
        """The version that was asked for, and its edits, in the version's frame."""
        version = self._assets.version(wish.start_asset, wish.start_version)

        def here(identifier: str) -> SplatCloud:
            other = self._assets.version(wish.start_asset, identifier)
            cloud = self._assets.read(other)
            if other.moved == version.moved:
                return cloud
            return moved_cloud(cloud, version.frame_from_made @ np.linalg.inv(other.frame_from_made))

        edits = tuple((here(before), here(after)) for before, after in version.edits)
        learns = self._selections.read(version, wish.start_selection) if wish.learns == "selection" else None
        return GivenSplats(self._assets.read(version), learns=learns, edits=edits)

    def _capture_folder(self, wish: Train) -> Path:
        return capture_folder(wish.capture, self._captures)


def _mesh_of(wish: Train) -> TriangleMesh | None:
    return None if wish.vertices is None or wish.faces is None else TriangleMesh(wish.vertices, wish.faces)


def capture_folder(capture: FolderCapture | UploadedCapture, captures: CaptureStore) -> Path:
    """Where it is. Raises UserError when one that was uploaded is not here."""
    match capture:
        case FolderCapture(path=path):
            return Path(path)
        case UploadedCapture(id=identifier):
            return captures.folder(identifier)


def _measured(wish: Train, report: TrainReport) -> VersionFigures:
    """The held-out views, as the training has compared them at its end."""
    terms = Terms(
        max_pixels=int(str(report.plan["max_pixels"])),
        masks=report.masks,
        background=report.background,
        near_plane=float(str(report.settings["near_plane"])),
    )
    views = tuple(MeasuredView(name=v.name, psnr=v.psnr, ssim=v.ssim, held_out=True) for v in report.views)
    return VersionFigures(capture=wish.capture, terms=terms, views=views)


def _version_of(card: JobCard, steps: int) -> str:
    """Follows from the job and its steps: what is done once more after a crash is the same version."""
    return hashlib.sha256(f"{card.id} {steps}".encode()).hexdigest()[:16]
