"""A desk without torch: its jobs count steps, its pictures are grey, and it can be told to be slow or to break."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from shared_protocol.errors import UserError
from shared_protocol.messages import (
    AssetChanged,
    AssetRemoved,
    CaptureViews,
    Catalog,
    Event,
    FetchPhoto,
    FiguresOfViews,
    JobAccepted,
    JobChanged,
    JobProgress,
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
from shared_protocol.schema import Setting
from shared_protocol.selecting import (
    FetchHistogram,
    FetchSelection,
    FetchValues,
    Histogram,
    ListSelections,
    NamedSelections,
    NameSelection,
    PickedSplat,
    PickSplat,
    SelectedSplats,
    SelectionQuestion,
    SplatValues,
)
from shared_protocol.things import (
    ENDED,
    IDENTITY,
    AssetInfo,
    CapturedView,
    ExportChoices,
    JobState,
    MeasuredView,
    Message,
    MethodInfo,
    VersionInfo,
    ViewCamera,
)

METHOD = MethodInfo(
    id="counting",
    category="training",
    label="Counting",
    help="Counts.",
    settings=(Setting(name="pace", kind="number", label="Pace", help="Steps a second.", default=100.0),),
)


CAMERA = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=8, height=4)


def made_splats(count: int, value: float = 0.5) -> Splats:
    shapes = {"means": (3,), "quats": (4,), "log_scales": (3,), "opacity_logits": (), "sh": (16, 3)}
    return Splats(**{name: np.full((count, *shape), value, np.float32) for name, shape in shapes.items()})


class FakeDesk:
    device = "cpu"

    def __init__(self, workspace: Path, on_event: Callable[[Event], None], *, splats: int = 10) -> None:
        self.workspace, self._on_event, self._splats = workspace, on_event, splats
        workspace.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._copier = ThreadPoolExecutor(1)
        self._numbers = itertools.count(1)
        self._jobs: dict[str, JobState] = {}
        self._assets: dict[str, AssetInfo] = {}
        self._captures: set[str] = set()
        self._wishes: dict[str, str] = {}
        self.held: threading.Event | None = None  # while it is clear, pictures wait for it
        self.drawn: list[Render] = []
        self.trained: list[Train] = []
        self.measured: list[MeasureViews] = []
        self.posed: dict[str, PoseMesh] = {}
        self.chosen = ExportChoices()  # with the last export
        self.held_versions: dict[tuple[str, str], tuple[str, ...]] = {}
        self.closed = False

    # ---- jobs

    @property
    def is_idle(self) -> bool:
        return all(job.status in ENDED or job.status == "paused" for job in self._jobs.values())

    def step_age(self) -> float | None:
        return None if self.is_idle else 0.01

    def methods(self) -> Catalog:
        return Catalog(methods=(METHOD,))

    def jobs(self) -> tuple[JobState, ...]:
        return tuple(self._jobs.values())

    def job(self, job: str) -> JobState:
        if job not in self._jobs:
            raise UserError("not_found", f"There is no job '{job}'.", "See the list of jobs.")
        return self._jobs[job]

    def submit(self, request: Train) -> JobState:
        self.trained.append(request)
        if request.method == "mistake":
            raise ZeroDivisionError("the fake desk was told to make a mistake")
        number = next(self._numbers)
        state = JobState(
            job=f"job-{number}",
            name=request.name,
            method=METHOD.id,
            status="running",
            asset=f"asset-{number}",
            steps=request.steps or 1000,
        )
        self._assets[state.asset] = AssetInfo(asset=state.asset, name=request.name, head="v1", job=state.job)
        self._tell(state)
        threading.Thread(target=self._count, args=(state.job, request.settings.get("pace", 100)), daemon=True).start()
        return state

    def run_method(self, request: RunMethod) -> JobState:
        asset = self._asset(request.asset)
        state = JobState(
            job=f"job-{next(self._numbers)}", name=request.name, method=request.method, status="finished",
            asset=asset.asset, category="editing", version="v2",
        )  # fmt: skip
        return self._tell(state)

    def measure(self, request: MeasureViews) -> JobState:
        asset = self._asset(request.asset)
        self.measured.append(request)
        state = JobState(
            job=f"job-{next(self._numbers)}", name=request.name, method="evaluation", status="finished",
            asset=asset.asset, category="evaluation",
        )  # fmt: skip
        return self._tell(state)

    def figures(self, asset: str, version: str, first: int) -> FiguresOfViews:
        self._asset(asset)
        views = [MeasuredView(name=f"{number}.png", psnr=20.0 + number, ssim=0.5) for number in (1, 2, 3)]
        return FiguresOfViews(views=tuple(views[first : first + 2]), total=3)

    def photo(self, request: FetchPhoto) -> PhotoData:
        self._asset(request.asset)
        color = np.full((4, min(request.longer_side, 8), 4), 200, np.uint8)
        return PhotoData(color=color, camera=CAMERA, background=(0.0, 0.5, 1.0))

    def mesh(self, job: str) -> MeshData:
        if self.job(job).status != "finished":
            raise UserError("not_found", f"The job '{job}' made no mesh.")
        return _triangle(colors=np.zeros((3, 3), np.uint8))

    def bound_mesh(self, asset: str, version: str) -> MeshData:
        self._asset(asset)
        return _triangle(colors=np.empty((0, 3), np.uint8))

    def _count(self, job: str, pace: float) -> None:
        while not self.closed:
            time.sleep(1 / pace)
            with self._lock:
                state, wish = self._jobs[job], self._wishes.pop(job, "")
                if wish in ("cancelled", "stopped", "paused", "running"):
                    state = msgspec.structs.replace(state, status=wish)
                elif state.status == "running":
                    done = state.step + 1 >= state.steps
                    status = "finished" if done else "running"
                    state = msgspec.structs.replace(state, step=state.step + 1, status=status)
                self._jobs[job] = state
            if wish or state.status in ENDED:
                self._on_event(JobChanged(job=state))
            elif state.status == "running":
                self._on_event(JobProgress(job=job, stage="Counting", step=state.step, steps=state.steps))
            if state.status in ENDED:
                return

    def _tell(self, state: JobState) -> JobState:
        with self._lock:
            self._jobs[state.job] = state
        self._on_event(JobChanged(job=state))
        return state

    def _wish(self, job: str, status: str) -> JobState:
        self.job(job)
        with self._lock:
            self._wishes[job] = status
        return self._jobs[job]

    def pause(self, job: str) -> JobState:
        return self._wish(job, "paused")

    def resume(self, job: str) -> JobState:
        return self._wish(job, "running")

    def cancel(self, job: str, keep: bool) -> JobState:
        return self._wish(job, "stopped" if keep else "cancelled")

    def snapshot(self, job: str) -> Future[Preview]:
        state = self.job(job)

        def copy() -> Preview:
            return Preview(job=job, step=state.step, splats=made_splats(self._splats, float(state.step)))

        if self._splats > 1000:  # copying takes its time: as in a real desk, not on the caller's thread
            return self._copier.submit(copy)
        future: Future[Preview] = Future()
        future.set_result(copy())
        return future

    # ---- assets and pictures

    def assets(self) -> tuple[AssetInfo, ...]:
        return tuple(self._assets.values())

    def _asset(self, asset: str) -> AssetInfo:
        if asset not in self._assets:
            raise UserError("not_found", f"There is no asset '{asset}'.", "See the list of assets.")
        return self._assets[asset]

    def versions(self, asset: str) -> tuple[VersionInfo, ...]:
        return (VersionInfo(version=self._asset(asset).head, asset=asset),)

    def rename(self, asset: str, name: str) -> AssetInfo:
        self._assets[asset] = msgspec.structs.replace(self._asset(asset), name=name)
        self._on_event(AssetChanged(asset=self._assets[asset]))
        return self._assets[asset]

    def delete(self, asset: str) -> None:
        self._asset(asset)
        del self._assets[asset]
        (self.workspace / f"{asset}.bytes").unlink(missing_ok=True)
        self._on_event(AssetRemoved(asset=asset))

    def hold(self, kind: str, holder: str, versions: tuple[str, ...]) -> None:
        self.held_versions[kind, holder] = versions

    def bake(self, asset: str, version: str, most: int) -> Splats:
        self._asset(asset)
        return made_splats(min(self._splats, most or self._splats))

    def import_file(self, path: Path, name: str, frame: str, asset: str) -> AssetInfo:
        asset = asset or f"asset-{next(self._numbers)}"
        shutil.copyfile(path, self.workspace / f"{asset}.bytes")
        size = path.stat().st_size
        self._assets[asset] = AssetInfo(asset=asset, name=name, head="v1", bytes=size, frame=frame or "opencv")
        return self._assets[asset]

    def export_file(self, asset: str, version: str, path: Path, choices: ExportChoices) -> None:
        self._asset(asset)
        self.chosen = choices
        shutil.copyfile(self.workspace / f"{asset}.bytes", path)

    def pose(self, request: PoseMesh) -> None:
        self._asset(request.asset)
        self.posed[request.pose] = request

    def select(self, request: Select) -> SelectionInfo:
        """Of three splats the first is selected, whatever is asked."""
        self._asset(request.asset)
        return SelectionInfo(selection="first", asset=request.asset, version=request.version or "v1", count=1, total=3)

    def about_selections(self, asked: SelectionQuestion) -> Message:
        """As little as an answer can say; jobs end at once."""
        self._asset(asked.asset)
        version = asked.version or "v1"
        match asked:
            case PickSplat():
                return PickedSplat(index=-1)
            case FetchSelection():
                selected = np.array([True, False, False])
                return SelectedSplats(asset=asked.asset, version=version, selection="first", selected=selected)
            case FetchValues():
                values = np.array([0.5, 1, 2], np.float32)
                return SplatValues(asset=asked.asset, version=version, attribute=asked.attribute, values=values)
            case FetchHistogram():
                return Histogram(low=0.0, high=1.0, counts=(1, 2))
            case NameSelection() | ListSelections():
                return NamedSelections(asset=asked.asset, version=version)
            case _:
                state = JobState(
                    job=f"job-{next(self._numbers)}", name="labels", method="selection", status="finished",
                    asset=asked.asset, category="selection",
                )  # fmt: skip
                return JobAccepted(job=self._tell(state))

    def render(self, request: Render) -> Future[Picture]:
        for thing in request.objects:
            self._asset(thing.asset)
        future: Future[Picture] = Future()
        if self.held is None:
            future.set_result(self._draw(request))
        else:
            threading.Thread(target=self._draw_later, args=(request, future, self.held), daemon=True).start()
        return future

    def _draw_later(self, request: Render, future: Future[Picture], held: threading.Event) -> None:
        held.wait(10)
        if future.set_running_or_notify_cancel():
            future.set_result(self._draw(request))

    def _draw(self, request: Render) -> Picture:
        self.drawn.append(request)
        size = (request.camera.height, request.camera.width)
        depth = np.ones(size, np.float32) if request.depth else None
        return Picture(color=np.full((*size, 4), 128, request.pixels), depth=depth)

    # ---- captures

    def capture(self, id: str) -> bool:
        return id in self._captures

    def views(self, capture: Path | str, first: int) -> CaptureViews:
        views = [
            CapturedView(name=f"{number}.png", path=f"{capture}/{number}.png", camera=CAMERA) for number in (1, 2, 3)
        ]
        return CaptureViews(views=tuple(views[first : first + 2]), total=3)

    def capture_begin(self, id: str, name: str) -> Path:
        folder = self.workspace / "captures" / id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def capture_done(self, id: str) -> None:
        self._captures.add(id)

    def close(self) -> None:
        self.closed = True
        self._copier.shutdown(wait=False)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _triangle(colors: np.ndarray) -> MeshData:
    return MeshData(vertices=np.eye(3, dtype=np.float32), faces=np.arange(3, dtype=np.int32)[None], colors=colors)
