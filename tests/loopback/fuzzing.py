"""Says right and wrong things to a conversation, as hypothesis makes them up, and watches what comes of them."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from backend.server.allowed_folders import AllowedFolders
from backend.server.conversation import Conversation, Terms, Threads
from backend.server.sessions import MOST_SESSIONS, Lane
from backend.server.workers import attempt
from shared_protocol import messages as m
from shared_protocol import selecting
from shared_protocol.codec import client_codec
from shared_protocol.manifest import manifest_id
from shared_protocol.things import (
    IDENTITY,
    AssetInfo,
    FolderCapture,
    JobState,
    ManifestFile,
    Message,
    PlacedAsset,
    SceneObject,
    UploadedCapture,
    ViewCamera,
)

from .fake_desk import METHOD, FakeDesk, sha256
from .sayings import KNOWN, NASTY, SESSION, Saying, sayings

ONE = b"x" * 10
_CAMERA = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=8, height=4)
_SCENE = m.Render(objects=(SceneObject(asset="asset-1"),), camera=_CAMERA)
_TRIANGLE = np.eye(3, dtype=np.float32)
_FACE = np.arange(3, dtype=np.int32)[None]
_WEIGHTS = np.linspace(0, 1, 3, dtype=np.float32)
OUTSIDE = "OUTSIDE"  # in a seed: a path that is not allowed, in the fuzzer's own folder
SEEDS: tuple[Message, ...] = (
    m.Hello(version=1, client="fuzzer"),
    m.JoinBulk(session=SESSION),
    m.Beat(),
    m.ListMethods(),
    m.AllowFolder(path=OUTSIDE),
    m.Train(name="a", capture=FolderCapture(path=OUTSIDE), settings={"pace": 1.0}, steps=5),
    m.Train(name="b", capture=UploadedCapture(id=sha256(ONE)), method="counting"),
    m.RunMethod(method="crop", asset="asset-1", version="v1", settings={"keep": "inside"}, box=IDENTITY),
    m.RunMethod(method="join", asset="asset-1", others=(PlacedAsset(asset="asset-2"),), selection="first"),
    m.RunMethod(method="set_ground", asset="asset-1", points=((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), matrix=IDENTITY),
    m.Train(name="c", capture=FolderCapture(path=OUTSIDE), start_asset="asset-1", learns="selection"),
    m.RunMethod(method="bind", asset="asset-1", vertices=_TRIANGLE, faces=_FACE, name="bind"),
    m.RunMethod(
        method="bind", asset="asset-1", vertices=_TRIANGLE, faces=_FACE, weights=_WEIGHTS, far_weights=_WEIGHTS
    ),
    m.FetchMesh(job="job-1"),
    m.FetchMesh(asset="asset-1", version="v1"),
    m.PoseMesh(pose="arm", asset="asset-1", vertices=_TRIANGLE),
    m.Select(asset="asset-1", version="v1", by=selecting.Everything()),
    m.Select(
        asset="asset-1", by=selecting.InBox(asset_from_box=IDENTITY), base="first", mode="subtract", hidden="first"
    ),
    m.Select(
        asset="asset-1",
        by=selecting.InOutline(camera=_CAMERA, world_from_object=IDENTITY, points=np.eye(3, 2, dtype=np.float32)),
    ),
    m.Select(
        asset="asset-1",
        by=selecting.UnderBrush(
            camera=_CAMERA, world_from_object=IDENTITY, path=np.eye(2, dtype=np.float32), radius_px=2
        ),
    ),
    *(
        m.Select(asset="asset-1", by=by, base="first")
        for by in (selecting.Grown(steps=-2), selecting.Connected(color_tolerance=0.2), selecting.Floaters(most=3))
    ),
    m.Select(asset="asset-1", by=selecting.InMesh(vertices=_TRIANGLE, faces=_FACE, outside=True)),
    m.Select(asset="asset-1", by=selecting.Contributing(camera=_CAMERA, world_from_object=IDENTITY, at_least=2)),
    m.Select(asset="asset-1", by=selecting.Named(name="head")),
    m.Select(asset="asset-1", by=selecting.Labelled(label=2, bias=-0.5, confidence=0.5)),
    selecting.PickSplat(asset="asset-1", camera=_CAMERA, world_from_object=IDENTITY, x=1.5, y=2.5),
    selecting.NameSelection(asset="asset-1", name="head", selection="first"),
    selecting.ListSelections(asset="asset-1", version="v1"),
    selecting.FetchSelection(asset="asset-1", selection="first"),
    selecting.FetchValues(asset="asset-1", attribute="label"),
    selecting.FetchHistogram(asset="asset-1", attribute="size", bins=4, selection="first"),
    selecting.IndexVersion(asset="asset-1"),
    selecting.LabelSplats(asset="asset-1", capture=FolderCapture(path=OUTSIDE)),
    selecting.LabelSplats(
        asset="asset-1",
        views=(
            selecting.MaskedView(
                camera=_CAMERA, world_from_object=IDENTITY, outlines=(np.eye(3, 2, dtype=np.float32),)
            ),
        ),
    ),
    m.MeasureViews(asset="asset-1", capture=FolderCapture(path=OUTSIDE)),
    m.ListFigures(asset="asset-1", first=1),
    m.FetchPhoto(asset="asset-1", view="1.png", longer_side=4),
    m.ListViews(capture=FolderCapture(path=OUTSIDE), first=1),
    m.ListViews(capture=UploadedCapture(id=sha256(ONE))),
    m.ListJobs(),
    m.GetJob(job="job-1"),
    m.PauseJob(job="job-1"),
    m.ResumeJob(job="job-1"),
    m.CancelJob(job="job-1", keep=True),
    m.WatchJob(job="job-1", every_s=0.5),
    m.ListAssets(),
    m.ListVersions(asset="asset-1"),
    m.RenameAsset(asset="asset-1", name="Garden"),
    m.DeleteAsset(asset="asset-1"),
    m.HoldVersions(kind="file", holder="scene.blend", versions=("v1",)),
    m.ImportFile(path=OUTSIDE, name="a"),
    m.ImportUpload(upload=sha256(ONE), file_name="a.ply"),
    m.ExportFile(asset="asset-1", version="v1", path=OUTSIDE),
    m.FetchSplats(asset="asset-1"),
    _SCENE,
    msgspec.structs.replace(_SCENE, stream="view", surface_depth=np.zeros((4, 8), np.float32)),
    msgspec.structs.replace(_SCENE, surface_vertices=_TRIANGLE, surface_faces=_FACE),
    m.GrantFrames(count=2),
    m.OpenUpload(size=10, sha256=sha256(ONE)),
    m.UploadChunk(upload=sha256(ONE), offset=0, data=np.frombuffer(ONE, np.uint8)),
    m.BeginCapture(id=sha256(b"c"), name="c", files=1, bytes=10),
    m.AddCaptureFiles(id=sha256(b"c"), files=(ManifestFile(path="a/b.png", size=10, sha256=sha256(ONE)),)),
    m.FinishCapture(id=sha256(b"c")),
    m.OpenDownload(asset="asset-1", version="v1"),
    m.WantChunk(download=KNOWN["download"][0], offset=0),
    m.CloseDownload(download=KNOWN["download"][0]),
)
_UNTOUCHED = "nobody may touch this"
_MOST_AT_ONCE = 24  # things said in one conversation: hypothesis has only so much to spend on an example
_AT_A_TIME = 300  # conversations, after which hypothesis may forget: it remembers every choice it made


class StillDesk(FakeDesk):
    """Its jobs do not run and its pictures are small, so that a hundred thousand of them cost little."""

    def submit(self, request: m.Train) -> JobState:
        self.trained = [request]
        state = JobState(job="job-1", name=request.name, method=METHOD.id, status="running", asset="asset-1")
        self._jobs = {state.job: state}
        return state

    def _draw(self, request: m.Render) -> m.Picture:
        self.drawn = [request]
        return m.Picture(color=np.zeros((1, 1, 4), np.uint8))


class Now:
    """A thread that is none."""

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        then(attempt(call))


def say_many(what: st.SearchStrategy[Any], say: Callable[[Any], None], *, examples: int, seed: int) -> None:
    """Lets hypothesis make them up. Raises what `say` raises, for the shortest example that makes it do so."""
    hypothesis.seed(seed)(
        hypothesis.settings(
            max_examples=examples,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[*HealthCheck],  # pyright: ignore[reportArgumentType]
            phases=(Phase.generate, Phase.shrink),
        )(hypothesis.given(what)(say))
    )()


class Fuzzer:
    """Each conversation is with a server that knows nothing yet, so that whatever goes wrong can be said again."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._seed, self._codec = seed, client_codec()
        self._folder, self._workspace, self._outside = folder, folder / "workspace", folder / "outside"
        self.paths = (f"{folder}/outside", f"{self._workspace}/../outside", f"{folder}/new.ply", str(folder))
        self.sayings = sayings([self._real(seed) for seed in SEEDS], self.paths, (sha256(ONE), sha256(b"c")))
        self._answers: list[Message] = []
        self._session = ""
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.slowest_s, self.slowest = 0.0, Saying("", "control", b"", [])

    def run(self, count: int) -> None:
        """Says at least so many things. Raises the first finding, made as short as can be."""
        texts = [text for text in (*self.paths, *NASTY) if isinstance(text, str)]
        astray = st.sampled_from([None] * len(texts) + texts)
        said = st.lists(self.sayings, min_size=1, max_size=_MOST_AT_ONCE)
        seed = self._seed
        while (missing := count - self.sent.total()) > 0:
            say_many(st.tuples(astray, said), self.converse, examples=min(missing // 10 + 10, _AT_A_TIME), seed=seed)
            seed += 1000

    def converse(self, said: tuple[str | None, list[Saying]]) -> None:
        """Raises whatever goes wrong. said: where a capture's file is to go, and what else is said."""
        path, others = said
        conversation = self._begin()
        for saying in [*(_capture_astray(path) if path is not None else ()), *others]:
            self.sent[saying.name] += 1
            started = time.perf_counter()
            self._receive(conversation, saying.lane, saying.peer, saying.frames)
            took = time.perf_counter() - started
            if took > self.slowest_s:
                self.slowest_s, self.slowest = took, saying
            for answer in self._answers:
                assert not (isinstance(answer, m.Failed) and answer.kind == "mistake"), answer.message
            assert conversation.sessions <= MOST_SESSIONS
        conversation.tick()
        there = sorted(path.name for path in self._folder.iterdir())
        assert there == ["outside", "workspace"], "something was written outside the workspace"
        assert self._outside.is_file() and self._outside.read_text() == _UNTOUCHED, "a file outside was changed"

    def send(self, lane: Lane, peer: bytes, frames: Sequence[Any]) -> bool:
        """For the conversation: its line."""
        _, message = self._codec.unpack([bytes(frame) for frame in frames])
        self._answers.append(message)
        self.answered[message.kind if isinstance(message, m.Failed) else type(message).__name__] += 1
        return True

    def _begin(self) -> Conversation:
        """A client with everything that makes the other requests meaningful."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._outside.write_text(_UNTOUCHED)
        desk = StillDesk(self._workspace, lambda event: conversation.happened(event))  # noqa: PLW0108  it comes later
        conversation = Conversation(
            desk,
            self,
            Threads(Now(), Now(), Now()),
            AllowedFolders([self._workspace], may_grow=False),
            Terms(local=False),
            post=lambda call: call(),
        )
        self._session = ""
        beginning: tuple[tuple[Lane, bytes, Message], ...] = (
            ("control", b"f", m.Hello(version=m.PROTOCOL_VERSION)),
            ("bulk", b"fb", m.JoinBulk(session=SESSION)),
            ("bulk", b"fb", m.GrantFrames(count=2)),
        )
        for lane, peer, message in beginning:
            self._receive(conversation, lane, peer, [bytes(frame) for frame in self._codec.pack(7, message)])
        desk._assets["asset-1"] = AssetInfo(asset="asset-1", name="a", head="v1")
        desk._jobs["job-1"] = JobState(job="job-1", name="a", method="m", status="running")
        desk._jobs["job-2"] = JobState(job="job-2", name="b", method="m", status="finished")
        (self._workspace / "asset-1.bytes").write_bytes(ONE * 100)
        return conversation

    def _receive(self, conversation: Conversation, lane: Lane, peer: bytes, frames: Sequence[bytes]) -> None:
        self._answers = []
        if self._session:
            frames = [frame.replace(SESSION.encode(), self._session.encode()) for frame in frames]
        conversation.receive(lane, peer, frames)
        for answer in self._answers:
            if isinstance(answer, m.Welcome) and peer == b"f":
                self._session = answer.session

    def _real(self, seed: Message) -> Message:
        """With the path of the file that nobody may touch."""
        if getattr(seed, "path", "") == OUTSIDE:
            return msgspec.structs.replace(seed, path=str(self._outside))
        if getattr(seed, "capture", None) == FolderCapture(path=OUTSIDE):
            return msgspec.structs.replace(seed, capture=FolderCapture(path=str(self._outside)))
        return seed


def _capture_astray(path: str) -> list[Saying]:
    """Does everything right with a path that may be wrong: what a client with bad intentions would do."""
    file = ManifestFile(path=path, size=len(ONE), sha256=sha256(ONE))
    begin = m.BeginCapture(id=manifest_id([file]), name="c", files=1, bytes=len(ONE))
    requests = (
        begin,
        m.AddCaptureFiles(id=begin.id, files=(file,)),
        m.OpenUpload(size=len(ONE), sha256=sha256(ONE)),
        m.UploadChunk(upload=sha256(ONE), offset=0, data=np.frombuffer(ONE, np.uint8)),
        m.FinishCapture(id=begin.id),
    )
    packed = ([bytes(frame) for frame in client_codec().pack(7, request)] for request in requests)
    return [
        Saying(type(request).__name__, "control", b"f", frames)
        for request, frames in zip(requests, packed, strict=True)
    ]
