"""Says wrong things to a conversation: every request, bent in every way, and watches what comes of it."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.server.allowed_folders import AllowedFolders
from backend.server.conversation import Conversation, Terms, Threads
from backend.server.sessions import MOST_SESSIONS, Lane
from backend.server.workers import attempt
from shared_protocol import messages as m
from shared_protocol.codec import client_codec
from shared_protocol.manifest import manifest_id
from shared_protocol.things import (
    IDENTITY,
    AssetInfo,
    FolderCapture,
    JobState,
    ManifestFile,
    Message,
    SceneObject,
    UploadedCapture,
    ViewCamera,
)

from .fake_desk import METHOD, FakeDesk, sha256

ONE = b"x" * 10
_CAMERA = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=8, height=4)
_SCENE = m.Render(objects=(SceneObject(asset="asset-1"),), camera=_CAMERA)
_TRIANGLE = np.eye(3, dtype=np.float32)
_FACE = np.arange(3, dtype=np.int32)[None]
OUTSIDE = "OUTSIDE"  # in a seed: a path that is not allowed, in the fuzzer's own folder
SEEDS: tuple[Message, ...] = (
    m.Hello(version=1, client="fuzzer"),
    m.JoinBulk(session="?"),
    m.Beat(),
    m.ListMethods(),
    m.AllowFolder(path=OUTSIDE),
    m.Train(name="a", capture=FolderCapture(path=OUTSIDE), settings={"pace": 1.0}, steps=5),
    m.Train(name="b", capture=UploadedCapture(id=sha256(ONE)), method="counting"),
    m.RunMethod(method="crop", asset="asset-1", version="v1", settings={"keep": "inside"}, box=IDENTITY),
    m.RunMethod(method="bind", asset="asset-1", vertices=_TRIANGLE, faces=_FACE, name="bind"),
    m.FetchMesh(job="job-1"),
    m.PoseMesh(pose="arm", asset="asset-1", vertices=_TRIANGLE),
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
    m.WantChunk(download="d", offset=0),
    m.CloseDownload(download="d"),
)
# No path of the real system: if a check is missing, the fuzzer must not do the harm that it warns of.
_NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 2**64 - 1, 0.5, math.nan, math.inf, -math.inf, 1e308, -1e-308,
    "", "a" * 300, "../outside", "a/../../outside", "../../../outside", "\0", "é\u202e", "..", ".", "con", "C:\\a",
    "object", "float32", "v1", "asset-1", "job-1", b"", b"\xff" * 40, [], {}, [[]] * 50, {"type": "Beat"}, ["x"] * 2000,
    [1, 1, "uint8", [10]], [1, 1, "float32", [4, 8]], [1, 2, "bool", [0, 2**40]],
)  # fmt: skip
_UNTOUCHED = "nobody may touch this"
_JOIN, _TRAIN, _GRANT = (
    next(place for place, seed in enumerate(SEEDS) if isinstance(seed, kind))
    for kind in (m.JoinBulk, m.Train, m.GrantFrames)
)


class StillDesk(FakeDesk):
    """Its jobs do not run, so that a hundred thousand of them cost little."""

    def submit(self, request: m.Train) -> JobState:
        self.trained = [request]
        state = JobState(job="job-1", name=request.name, method=METHOD.id, status="running", asset="asset-1")
        self._jobs = {state.job: state}
        return state


class Now:
    """A thread that is none."""

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        then(attempt(call))


class Fuzzer:
    """Everything that goes wrong is in `findings`, with the seed's name and the frames that did it."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._random, self._codec = random.Random(seed), client_codec()
        self._folder, self._workspace = folder, folder / "workspace"
        self._desk = StillDesk(self._workspace, self._happened)
        self._answers: list[tuple[Lane, int, Message]] = []
        self._conversation = Conversation(
            self._desk,
            self,
            Threads(Now(), Now(), Now()),
            AllowedFolders([self._workspace], may_grow=False),
            Terms(local=False),
            post=lambda call: call(),
        )
        self._outside = folder / "outside"
        self._outside.write_text(_UNTOUCHED)
        self._nasty = (*_NASTY, f"{folder}/outside", f"{self._workspace}/../outside", f"{folder}/new.ply", str(folder))
        self._frames = [[bytes(f) for f in self._codec.pack(7, seed)] for seed in SEEDS]
        self._frames = [[self._with_real_paths(frames[0]), *frames[1:]] for frames in self._frames]
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.findings: list[tuple[str, list[bytes]]] = []
        self.slowest_s = 0.0

    def send(self, lane: Lane, peer: bytes, frames: Sequence[Any]) -> bool:
        _, message = self._codec.unpack([bytes(frame) for frame in frames])
        self._answers.append((lane, 0, message))
        self.answered[message.kind if isinstance(message, m.Failed) else type(message).__name__] += 1
        return True

    def _happened(self, event: m.Event) -> None:
        self._conversation.happened(event)

    def run(self, count: int) -> None:
        for number in range(count):
            if number % 500 == 0:
                self._begin()
            if number % 50 == 0:
                self._send_capture_astray()
            which = self._random.randrange(len(SEEDS))
            self._say(type(SEEDS[which]).__name__, self.bent(which))
            if number % 100 == 0:
                self._conversation.tick()
        if sorted(path.name for path in self._folder.iterdir()) != ["outside", "workspace"]:
            self.findings.append(("something was written outside the workspace", []))
        if not self._outside.is_file() or self._outside.read_text() != _UNTOUCHED:
            self.findings.append(("a file outside the workspace was changed", []))

    def bent(self, which: int) -> list[bytes]:
        """The frames of a request, with something wrong (or, now and then, with nothing wrong)."""
        frames = list(self._frames[which])
        for _ in range(self._random.choice((0, 1, 1, 1, 1, 2, 4))):
            bend = self._random.choice((self._bend_bytes, self._bend_frames, *[self._bend_values] * 4))
            frames = bend(frames)
        return frames

    def _begin(self) -> None:
        """A client with everything that makes the other requests meaningful."""
        self._receive("control", b"f", self._frames[0])
        for seed in (_TRAIN, _GRANT):
            self._receive("control", b"f", self._frames[seed])
        self._desk._assets.setdefault("asset-1", AssetInfo(asset="asset-1", name="a", head="v1"))
        self._desk._jobs.setdefault("job-1", JobState(job="job-1", name="a", method="m", status="running"))
        (self._workspace / "asset-1.bytes").write_bytes(ONE * 100)

    def _send_capture_astray(self) -> None:
        """Does everything right with a path that is wrong: what a client with bad intentions would do."""
        path = self._random.choice([nasty for nasty in self._nasty if isinstance(nasty, str) and nasty])
        try:
            file = ManifestFile(path=path, size=len(ONE), sha256=sha256(ONE))
            begin = m.BeginCapture(id=manifest_id([file]), name="c", files=1, bytes=len(ONE))
        except UnicodeError:
            return
        for request in (
            begin,
            m.AddCaptureFiles(id=begin.id, files=(file,)),
            m.OpenUpload(size=len(ONE), sha256=sha256(ONE)),
            m.UploadChunk(upload=sha256(ONE), offset=0, data=np.frombuffer(ONE, np.uint8)),
            m.FinishCapture(id=begin.id),
        ):
            self._receive("control", b"f", [bytes(frame) for frame in self._codec.pack(7, request)])

    def _receive(self, lane: Lane, peer: bytes, frames: list[bytes]) -> None:
        self._answers = []
        self._conversation.receive(lane, peer, frames)
        for answer in [answer for _, _, answer in self._answers if isinstance(answer, m.Welcome) and peer == b"f"]:
            join = [bytes(f) for f in self._codec.pack(7, m.JoinBulk(session=answer.session))]
            self._frames[_JOIN] = join
            self._conversation.receive("bulk", b"fb", join)

    def _with_real_paths(self, body: bytes) -> bytes:
        content = msgspec.msgpack.decode(body)
        for holder, key in _places(content):
            if holder[key] == OUTSIDE:
                holder[key] = str(self._outside)
        return msgspec.msgpack.encode(content)

    def _say(self, name: str, frames: list[bytes]) -> None:
        self.sent[name] += 1
        lane: Lane = self._random.choice(("control", "control", "bulk"))
        peer = self._random.choice((b"f", b"f", b"f", b"stranger")) + (b"b" if lane == "bulk" else b"")
        started = time.perf_counter()
        try:
            self._receive(lane, peer, frames)
        except Exception as error:  # noqa: BLE001  finding these is what this is for
            self.findings.append((f"{name}: {type(error).__name__}: {error}", frames))
        self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
        for _, _, answer in self._answers:
            if isinstance(answer, m.Failed) and answer.kind == "mistake":
                self.findings.append((f"{name}: {answer.message}", frames))
        if self._conversation.sessions > MOST_SESSIONS:
            self.findings.append((f"{name}: too many sessions", frames))

    def _bend_bytes(self, frames: list[bytes]) -> list[bytes]:
        which = self._random.randrange(len(frames)) if frames else 0
        data = bytearray(frames[which]) if frames else bytearray()
        for _ in range(self._random.choice((1, 1, 2, 8))):
            place = self._random.randrange(len(data) + 1)
            match self._random.randrange(5):
                case 0:
                    data[place:place] = self._random.randbytes(self._random.choice((1, 2, 9)))
                case 1:
                    del data[place : place + self._random.choice((1, 2, 9))]
                case 2:
                    del data[place:]
                case 3:
                    other = self._random.choice(self._random.choice(self._frames))
                    data[place:] = other[self._random.randrange(len(other)) :]
                case _ if data:
                    data[place % len(data)] ^= 1 << self._random.randrange(8)
        return [*frames[:which], bytes(data), *frames[which + 1 :]]

    def _bend_frames(self, frames: list[bytes]) -> list[bytes]:
        frames = list(frames)
        match self._random.randrange(4):
            case 0 if frames:
                frames.pop(self._random.randrange(len(frames)))
            case 1 if frames:
                frames.append(self._random.choice(frames))
            case 2:
                frames += [b""] * self._random.choice((1, 70))
            case _:
                self._random.shuffle(frames)
        return frames

    def _bend_values(self, frames: list[bytes]) -> list[bytes]:
        try:
            content = msgspec.msgpack.decode(frames[0])
        except (IndexError, msgspec.MsgspecError, ValueError, RecursionError):
            return frames
        places = list(_places(content))
        # What is deep inside is read last: bending the outermost values would hide it nearly always.
        deep = [(holder, key) for holder, key in places if holder is not content and key != "type"]
        if not places:
            return frames
        holder, key = self._random.choice(deep if deep and self._random.random() < 0.9 else places)
        alike = [nasty for nasty in self._nasty if type(nasty) is type(holder[key])]
        holder[key] = self._random.choice(alike if alike and self._random.random() < 0.6 else self._nasty)
        try:
            return [msgspec.msgpack.encode(content), *frames[1:]]
        except (OverflowError, RecursionError):
            return frames


def _places(content: Any) -> Any:
    """Every place in nested lists and maps that holds a value."""
    if isinstance(content, list | dict):
        for key in range(len(content)) if isinstance(content, list) else content:
            yield content, key
            yield from _places(content[key])
