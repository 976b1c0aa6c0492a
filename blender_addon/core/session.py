"""All that the extension knows of the backend, its jobs and its assets; never changed, only followed by another one."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..protocol import things
from .backend_state import CONNECTED, NOTHING_YET, Life
from .curve import Curve

MOST_NOTES = 50
Wish = Literal["pause", "resume", "stop", "cancel"]
# While a job is in one of these, what was wished is still to be done.
_OPEN: dict[Wish, frozenset[things.JobStatus]] = {
    "pause": frozenset({"queued", "running"}),
    "resume": frozenset({"paused", "failed", "stopped"}),
    "stop": frozenset({"queued", "running", "paused"}),
    "cancel": frozenset({"queued", "running", "paused"}),
}


class JobView(msgspec.Struct, frozen=True):
    """A job as the panels show it. wish: what the user has asked of it, until the backend has done so."""

    state: things.JobState
    wish: Wish | None = None
    curve: Curve = Curve()
    notes: tuple[str, ...] = ()  # oldest first
    started: float = 0.0  # when it was first seen running, on the events' clock; 0 = not yet

    @property
    def is_over(self) -> bool:
        return self.state.status in things.ENDED

    def writes(self, asset: str) -> bool:
        """Some jobs only read their asset."""
        return self.state.asset == asset and self.state.category not in things.READING

    def is_granted(self, status: things.JobStatus) -> bool:
        """Whether in that state nothing of the wish is left to be done."""
        return self.wish is None or status not in _OPEN[self.wish]

    @property
    def seconds_left(self) -> float | None:
        """Of the present stage. None = it is too early to say, or the job rests."""
        if self.state.status != "running":
            return None
        return self.curve.seconds_left(self.state.step, self.state.steps)


class Upload(msgspec.Struct, frozen=True):
    """Files on their way to a backend on another machine. done, all: bytes; all = 0: they are still being read."""

    name: str
    done: int = 0
    all: int = 0
    curve: Curve = Curve()  # of bytes instead of steps

    @property
    def seconds_left(self) -> float | None:
        """None = it is too early to say."""
        return self.curve.seconds_left(self.done, self.all)


class Session(msgspec.Struct, frozen=True):
    """failure: the last one, shown until it is dismissed. device, is_local: of the connected backend.

    reads, writes: suffixes of the splat files that the backend imports and exports, the usual one first; formats: what
    is known of them.
    restarted: why the backend's process was started again; "" = it was not.
    is_listed: the connected backend has said what it has.
    known_since_connecting: jobs and assets that were heard of since the connection, so that the lists, which were asked
    for before, do not bring an older state back.
    """

    life: Life = NOTHING_YET
    catalog: tuple[things.MethodInfo, ...] = ()
    reads: tuple[str, ...] = (".ply",)
    writes: tuple[str, ...] = (".ply",)
    formats: tuple[things.FormatInfo, ...] = ()
    jobs: dict[str, JobView] = msgspec.field(default_factory=dict[str, JobView])  # oldest first
    assets: dict[str, things.AssetInfo] = msgspec.field(default_factory=dict[str, things.AssetInfo])
    uploads: dict[int, Upload] = msgspec.field(default_factory=dict[int, Upload])  # oldest first
    failure: things.Failed | None = None
    is_local: bool = True
    device: str = ""
    restarted: str = ""
    is_listed: bool = False
    known_since_connecting: frozenset[str] = frozenset()

    @property
    def is_connected(self) -> bool:
        return self.life.state in CONNECTED

    @property
    def active_job(self) -> JobView | None:
        """The newest job that runs or rests; else the newest that waits."""
        for statuses in (("running", "paused"), ("queued",)):
            for job in reversed(self.jobs.values()):
                if job.state.status in statuses:
                    return job
        return None

    def job_of_asset(self, asset: str) -> JobView | None:
        """The job that still writes this asset."""
        return next((job for job in self.jobs.values() if job.writes(asset) and not job.is_over), None)
