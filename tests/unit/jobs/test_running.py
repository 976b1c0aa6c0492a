"""A job stops when it is asked to, when its time is up, and when a signal arrives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from backend.jobs import running
from backend.jobs.interrupts import stop_on_signals
from backend.jobs.running import RunningJob


class Diary:
    """Writes down what a job reports."""

    def __init__(self) -> None:
        self.lines: list[object] = []

    def stage(self, text: str) -> None:
        self.lines.append(("stage", text))

    def progress(self, step, steps, figures) -> None:
        self.lines.append((step, steps, dict(figures)))

    def note(self, text: str) -> None:
        self.lines.append(("note", text))


def test_reports_reach_the_watcher() -> None:
    diary = Diary()
    job = RunningJob(diary)
    job.stage("Training")
    job.progress(3, 10, loss=0.5)
    job.part_done(1, 2)
    job.note("hello")
    assert diary.lines == [("stage", "Training"), (3, 10, {"loss": 0.5}), (1, 2, {}), ("note", "hello")]


def test_time_is_up_only_after_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    job = RunningJob(minutes=2)
    now[0] = 219.9
    assert not job.stop_early and job.stopped is None
    now[0] = 220.0
    assert job.stop_early and job.stopped == "minutes"


def test_without_minutes_a_job_goes_on_until_it_is_interrupted() -> None:
    job = RunningJob()
    assert not job.stop_early
    job.interrupt()
    assert job.stop_early and job.stopped == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_a_job_that_has_something(number: signal.Signals) -> None:
    said: list[str] = []
    job = RunningJob()
    job.has_result = True
    before = signal.getsignal(number)
    with stop_on_signals(job, said.append, before_exit=lambda: None):
        assert not job.stop_early
        os.kill(os.getpid(), number)
        deadline = time.monotonic() + 5
        while not (job.stop_early and said) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert job.stopped == "interrupted"
    assert len(said) == 1 and "keeping what there is" in said[0]
    assert signal.getsignal(number) is before
    assert not any(thread.name == "signals" for thread in threading.enumerate())


def test_a_signal_before_there_is_anything_ends_the_command() -> None:
    job = RunningJob()
    with pytest.raises(KeyboardInterrupt), stop_on_signals(job, lambda text: None, before_exit=lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert not job.stop_early


BUSY = """
import ctypes, sys, time
from backend.jobs.interrupts import stop_on_signals
from backend.jobs.running import RunningJob
job = RunningJob()
job.has_result = True
with stop_on_signals(job, lambda text: print(text, flush=True), before_exit=lambda: print("bye", flush=True)):
    print("ready", flush=True)
    # A call into C that does not come back to Python, as a long kernel or COLMAP does.
    libc = ctypes.CDLL(None)
    while True:
        libc.usleep(900_000)
        end = time.monotonic() + 1
        while time.monotonic() < end and not job.stop_early:
            pass
        libc.sleep(60)
"""


def test_the_second_signal_ends_at_once_even_inside_a_long_call() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert "interrupt again" in process.stdout.readline()
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "bye\n"
        assert process.wait(timeout=5) == 130
        assert time.monotonic() - start < 2
