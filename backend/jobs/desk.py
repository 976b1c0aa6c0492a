"""The desk: everything that the backend does for others, as plain calls that know no socket (docs/protocol.md, 10)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import msgspec
import numpy as np

from backend.jobs.bindings import stored_binding
from backend.jobs.device import DeviceChoice, choose_device
from backend.jobs.fatal import fatal_reason
from backend.jobs.imports_and_exports import export_version, import_asset, import_version
from backend.jobs.labelling import LabellingJobs
from backend.jobs.lanes import LONG, QUICK, JobLanes, WorkByCategory
from backend.jobs.listed_views import list_views
from backend.jobs.live import LiveAssets
from backend.jobs.measuring import MeasureJobs
from backend.jobs.method_jobs import MethodJobs
from backend.jobs.recipes import is_recipe_name, recipe_of
from backend.jobs.render_lane import RenderLane
from backend.jobs.render_service import RenderService
from backend.jobs.selecting import Selecting
from backend.jobs.selection_answers import SelectionAnswers
from backend.jobs.train_job import TrainJobs
from backend.jobs.work import Work
from backend.methods import registry
from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, VersionCard
from backend.store.garbage import collect
from backend.store.holders import HolderKind, Holders
from backend.store.payload import cloud_to_arrays
from backend.store.selection_names import SelectionNames
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import (
    AssetChanged,
    AssetRemoved,
    CaptureViews,
    Catalog,
    Event,
    FetchPhoto,
    FiguresOfViews,
    MeasureViews,
    MeshData,
    PhotoData,
    Picture,
    PoseMesh,
    Preview,
    Render,
    RunMethod,
    Select,
    SelectionInfo,
    Splats,
    Train,
)
from shared_protocol.selecting import SelectionQuestion
from shared_protocol.things import AS_STORED, AssetInfo, ExportChoices, JobState, Message, VersionInfo


class Desk:
    """Every call may come from any thread, and raises UserError for whatever the user can mend."""

    def __init__(
        self,
        workspace: Path,
        *,
        device: DeviceChoice = "auto",
        on_event: Callable[[Event], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        """Opens the workspace, collects what nothing reaches, and goes on with what was interrupted.

        on_event: called from any thread; it must return at once and not call the desk.
        on_fatal: called once, with one sentence, when this process cannot go on and must end without writing.
        """
        self.device = choose_device(device)
        self._on_event = on_event
        self._on_fatal = on_fatal
        self._fatal_lock = threading.Lock()
        self._is_broken = False
        self._workspace = Workspace(workspace)
        collect(self._workspace)
        self._assets = AssetStore(self._workspace)
        self._captures = CaptureStore(self._workspace)
        self._holders = Holders(self._workspace)
        self._live = LiveAssets()
        selections = SelectionStore(self._workspace)
        self._pictures = RenderService(self._assets, selections, self._live, self.device)
        names = SelectionNames(self._workspace)
        self._selecting = Selecting(self._assets, selections, names, self._pictures.cloud, self.device)
        self._lane = RenderLane(on_error=self._look_at)
        self._training = TrainJobs(
            self._workspace,
            self.device,
            self._live,
            on_asset=self._asset_changed,
            on_asset_removed=self._asset_removed,
        )
        self._methods = MethodJobs(self._workspace, self.device, on_asset=self._asset_changed)
        self._measuring = MeasureJobs(self._workspace, self.device, on_asset=self._asset_changed)
        labelling = LabellingJobs(self._workspace, self.device, self._pictures.cloud, on_asset=self._asset_changed)
        others: dict[str, Work] = {
            "training": self._training,
            "evaluation": self._measuring,
            "selection": labelling,
        }
        works = WorkByCategory({category: self._methods for category in LONG | QUICK} | others)
        self._queue = JobLanes(self._workspace, works, self._lane, tell=on_event, on_fatal=self._break)
        self._selections = SelectionAnswers(
            self._assets,
            selections,
            names,
            labelling,
            cloud_of=self._pictures.cloud,
            submit=self._queue.submit,
            device=self.device,
        )
        self._queue.start()

    def close(self) -> None:
        """Checkpoints the running job, which goes on when the workspace is opened again, and ends all threads."""
        self._lane.close()
        self._queue.close()
        self._workspace.close()

    # ---- what there is

    @property
    def workspace(self) -> Path:
        return self._workspace.folder

    @property
    def is_idle(self) -> bool:
        """No job runs and none waits; one that rests is no reason to stay."""
        return self._queue.is_idle

    def step_age(self) -> float | None:
        """Seconds since the running job was last heard of; None when nothing runs."""
        return self._queue.step_age()

    def methods(self) -> Catalog:
        return registry.catalog()

    # ---- jobs

    def submit(self, wish: Train) -> JobState:
        """Its asset is there at once and can be drawn from the first step on."""
        if wish.start_asset and self._queue.writing(wish.start_asset):
            message = f"A job is still at work on '{self._assets.asset(wish.start_asset).name}'."
            raise UserError("refused", message, "Wait for it, or cancel it.")
        card = self._training.accept(wish)
        try:
            state = self._queue.submit(card)
        except UserError:
            if not wish.start_asset:
                self._assets.discard(card.asset)
            raise
        self._asset_changed(card.asset)
        return state

    def run_method(self, wish: RunMethod) -> JobState:
        """Any method but a training; what it makes is named by the job's state when it has ended."""
        card = self._methods.accept(wish)
        try:
            if card.category in QUICK and self._queue.training_on(card.asset):
                message = f"A training is still at work on '{self._assets.asset(card.asset).name}'."
                raise UserError("refused", message, "Wait for it, or end it.")
            return self._queue.submit(card)
        except UserError:
            self._methods.discard(card)
            raise

    def measure(self, wish: MeasureViews) -> JobState:
        """Compares a version with every photo of a capture; the figures stay with the version."""
        return self._queue.submit(self._measuring.accept(wish))

    def figures(self, asset: str, version: str, first: int) -> FiguresOfViews:
        """How well the measured views of a version look, from the `first` on."""
        return self._measuring.figures(asset, version, first)

    def photo(self, wish: FetchPhoto) -> PhotoData:
        """The photo of a measured view, and the camera that sees what it shows."""
        return self._measuring.photo(wish)

    def mesh(self, job: str) -> MeshData:
        """What a job of the category "meshing" made."""
        return self._methods.mesh(job)

    def bound_mesh(self, asset: str, version: str = "") -> MeshData:
        """The mesh at rest that a version is bound to, in the asset's frame."""
        binding = stored_binding(self._assets, self._assets.version(asset, version))
        if binding is None:
            raise UserError("not_found", "These splats are not bound to a mesh.", "Bind them first.")
        return MeshData(binding.mesh.vertices, binding.mesh.faces, np.empty((0, 3), np.uint8))

    def jobs(self) -> tuple[JobState, ...]:
        return self._queue.states()

    def job(self, job: str) -> JobState:
        return self._queue.state(job)

    def pause(self, job: str) -> JobState:
        return self._queue.pause(job)

    def resume(self, job: str) -> JobState:
        return self._queue.resume(job)

    def cancel(self, job: str, keep: bool) -> JobState:
        return self._queue.cancel(job, keep=keep)

    # ---- assets

    def assets(self) -> tuple[AssetInfo, ...]:
        return tuple(self._asset_info(card) for card in self._assets.assets())

    def versions(self, asset: str) -> tuple[VersionInfo, ...]:
        """Oldest first."""
        self._assets.asset(asset)
        return tuple(_version_info(card) for card in self._assets.versions(asset))

    def rename(self, asset: str, name: str) -> AssetInfo:
        info = self._asset_info(self._assets.rename(asset, name))
        self._on_event(AssetChanged(asset=info))
        return info

    def delete(self, asset: str) -> None:
        """Takes it off the list; versions that a file or a session still reaches stay. Raises while a job writes it."""
        if self._queue.running_on(asset):
            name = self._assets.asset(asset).name
            raise UserError("refused", f"A job is still at work on '{name}'.", "Cancel the job first.")
        self._assets.delete(asset)
        self._asset_removed(asset)

    def hold(self, kind: HolderKind, name: str, versions: tuple[str, ...]) -> None:
        """A saved file or an open session reaches these versions from now on; none = nothing any more."""
        if versions:
            self._holders.hold(kind, name, versions)
        else:
            self._holders.release(kind, name)

    def bake(self, asset: str, version: str = "", most: int = 0) -> Splats:
        """most: so many of them, drawn evenly from all; 0 = all."""
        cloud = self._assets.read(self._assets.version(asset, version))
        if most and len(cloud) > most:
            cloud = cloud.select(np.linspace(0, len(cloud) - 1, most).astype(np.int64))
        return _splats(cloud)

    def import_file(self, path: Path, name: str = "", frame: str = "", asset: str = "") -> AssetInfo:
        """frame: that the file's numbers really are in; "" = as it says. asset: gets a new version; "" = a new one."""
        if not asset:
            return self._asset_changed(import_asset(self._assets, Path(path), name, frame))
        if self._queue.running_on(asset):
            message = f"A job is still at work on '{self._assets.asset(asset).name}'."
            raise UserError("refused", message, "Wait for it, or cancel it.")
        import_version(self._assets, Path(path), asset, name)
        return self._asset_changed(asset)

    def export_file(self, asset: str, version: str, path: Path, choices: ExportChoices = AS_STORED) -> None:
        """The suffix chooses the format; .safetensors keeps what a bound version hangs on, .json writes its edits."""
        card = self._assets.version(asset, version)
        if is_recipe_name(Path(path)):
            recipe_of(self._workspace, card).write(Path(path))
            return
        vertices = self._pictures.posed_vertices(choices.pose, card) if choices.pose else None
        export_version(self._assets, card, Path(path), choices, vertices)

    # ---- pictures

    def render(self, request: Render) -> Future[Picture]:
        """Drawn between two steps while a job trains. Raises UserError at once when there is nothing to draw."""
        self._pictures.check(request)

        def draw() -> Picture:
            live = [self._live.find(item.asset) for item in request.objects if item.visible and not item.version]
            step = max((self.job(found.job).step for found in live if found is not None), default=0)
            return msgspec.structs.replace(self._pictures.draw(request), step=step)

        return self._lane.submit(draw)

    def pose(self, wish: PoseMesh) -> None:
        """Where a bound mesh is now, for pictures that name this pose."""
        self._pictures.pose(wish)

    def select(self, wish: Select) -> SelectionInfo:
        """Splats of a version as a selection, which can be drawn, edited, and selected from."""
        return self._selecting.select(wish)

    def about_selections(self, asked: SelectionQuestion) -> Message:
        """Their names, what is pointed at, how values are spread, neighbours and labels."""
        return self._selections.answer(asked)

    def snapshot(self, job: str) -> Future[Preview]:
        """A copy of what the job has learned, taken between two of its steps."""
        state = self.job(job)

        def copy() -> Preview:
            live = self._live.of_job(job)
            if live is None:
                raise UserError("not_found", f"The job '{state.name}' has nothing to show now.")
            return Preview(job=job, step=self.job(job).step, splats=_splats(live.representation.bake()))

        return self._lane.submit(copy)

    # ---- captures from another machine

    def capture(self, capture: str) -> bool:
        """Whether all of it is here."""
        return self._captures.is_complete(capture)

    def capture_begin(self, capture: str, name: str) -> Path:
        """An empty or half-filled folder to put the files into."""
        return self._captures.begin(capture, name)

    def capture_done(self, capture: str) -> None:
        self._captures.complete(capture)

    def views(self, capture: Path | str, first: int) -> CaptureViews:
        """The posed photos of a capture folder, or of a capture that was sent, from the `first` on."""
        folder = capture if isinstance(capture, Path) else self._captures.folder(capture)
        return list_views(folder, first)

    # ---- within

    def _asset_changed(self, asset: str) -> AssetInfo:
        info = self._asset_info(self._workspace.find(AssetCard, asset, "asset"))
        self._on_event(AssetChanged(asset=info))
        return info

    def _asset_removed(self, asset: str) -> None:
        self._pictures.forget(asset)
        self._on_event(AssetRemoved(asset=asset))

    def _asset_info(self, card: AssetCard) -> AssetInfo:
        versions = self._assets.versions(card.id)
        head = versions[-1] if versions else None
        return AssetInfo(
            asset=card.id,
            name=card.name,
            head="" if head is None else head.id,
            splats=0 if head is None else head.splats,
            bytes=sum(version.bytes for version in versions),
            created=card.created,
            job=self._queue.writing(card.id),
            bounds=None if head is None else head.bounds,
            up=card.up,
            frame=card.frame,
            notes=card.notes,
        )

    def _look_at(self, error: BaseException) -> None:
        reason = fatal_reason(error)
        if reason is not None:
            self._break(reason)

    def _break(self, reason: str) -> None:
        with self._fatal_lock:
            if self._is_broken:
                return
            self._is_broken = True
        self._on_fatal(reason)


def _version_info(card: VersionCard) -> VersionInfo:
    return VersionInfo(
        version=card.id,
        asset=card.asset,
        parent=card.parent,
        label=card.label,
        splats=card.splats,
        bytes=card.bytes,
        created=card.created,
        bounds=card.bounds,
        bound_vertices=card.bound_vertices,
        mesh_bounds=card.mesh_bounds,
        bound_splats=card.bound_splats,
        far_splats=card.far_splats,
        sh_degree=card.sh_degree,
        antialiased=card.antialiased,
    )


def _splats(cloud: SplatCloud) -> Splats:
    return Splats(**cloud_to_arrays(cloud))
