"""Asks the backend for what takes a while: in a window Blender goes on meanwhile, without one the same call waits.

A window has a tick that brings answers; `blender -b`, the bpy module and scripts have none, and want the result when
the operator returns.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import bpy

from ..core import events
from ..host import current
from ..protocol import errors, messages, selecting, things
from . import uploads

if TYPE_CHECKING:  # Blender starts without what only asking needs
    from concurrent.futures import ThreadPoolExecutor

    from ..protocol import remote

Result = TypeVar("Result")
_A_WEEK_S = 7 * 86400.0  # longer than any job
_ENDED_LIFE = ("not_installed", "broken", "stopped", "failed")

_awaited: dict[str, Callable[[things.JobState], None]] = {}  # by job


@functools.cache
def _threads() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(4, thread_name_prefix="splatwright")


def can_ask(operator: Any) -> bool:
    """For an operator's poll. Without a window the operator connects by itself."""
    if current.session().is_connected or not current.is_interactive():
        return True
    operator.poll_message_set("Start the backend first")
    return False


def attempt(operator: Any, action: Callable[[], None]) -> set[Any]:
    """Does what an operator does. What goes wrong is reported and shown in the panel."""
    from ..protocol import remote

    try:
        action()
    except (errors.UserError, remote.BackendMistake) as error:
        current.tell(error)
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


def ask(action: Callable[[remote.Backend], Result], then: Callable[[Result], None]) -> None:
    """action: may take long, must not touch Blender. then: is called with its result on the main thread.

    Raises UserError, in a window only when there is no backend; later failures are shown in the panel there.
    """
    if not current.is_interactive():
        then(action(current.connect().backend))
        return
    link = current.link()
    if link is None:
        raise errors.UserError(
            "connection", "The backend is not connected.", "Start it first.", "splatwright.backend_start"
        )

    def answered(result: Result | BaseException) -> None:
        if isinstance(result, BaseException):
            if not uploads.is_stop(result):
                current.tell(result)
            return
        context: Any = bpy.context
        try:
            with context.temp_override(window=context.window_manager.windows[0]):
                then(result)
        except errors.UserError as error:
            current.tell(error)

    current.when_done(_threads().submit(action, link.backend), answered)


# ---- jobs and assets


def learn(job: things.JobState | None = None, asset: things.AssetInfo | None = None) -> None:
    """What an answer says that no event has said yet. Events come in their order, and answers may come after them."""
    session, now = current.session(), time.monotonic()
    if asset is not None and asset.asset not in session.assets:
        current.dispatch(events.Heard(messages.AssetChanged(asset=asset), now))
    if job is not None and job.job not in session.jobs:
        current.dispatch(events.JobsCame((job,), now, is_all=False))


def run_job(wish: selecting.IndexVersion | selecting.LabelSplats, ended: Callable[[things.JobState], None]) -> None:
    """Begins a job. ended: is called with the state in which it ended. Without a window it has when this returns.

    Raises UserError.
    """
    begun: list[str] = []

    def ask_for_it(backend: remote.Backend) -> things.JobState:
        return backend.request(wish, messages.JobAccepted).job

    def started(state: things.JobState) -> None:
        begun.append(state.job)
        learn(state)
        when_ended(state.job, ended)

    ask(ask_for_it, started)
    if not current.is_interactive():
        wait_for_job(begun[0])


def when_ended(job: str, callback: Callable[[things.JobState], None]) -> None:
    """callback: with the state in which the job ended, on the main thread; at once when it is over already."""
    _awaited[job] = callback
    _look_for_ends(None)


def wait_for_job(job: str) -> things.JobState:
    """Only without a window; the console shows how far it is.

    Raises UserError or BackendMistake when the job failed or the backend went for good.
    """
    from ..core.console import ConsoleLines
    from ..protocol import remote

    lines = ConsoleLines()

    def is_over() -> bool:
        session = current.session()
        view = session.jobs.get(job)
        for line in lines.after(view, time.monotonic()) if view is not None else ():
            print(line, flush=True)
        return session.life.state in _ENDED_LIFE or (view is not None and view.is_over)

    current.wait_until(is_over, _A_WEEK_S)
    view = current.session().jobs.get(job)
    if view is None or not view.is_over:
        raise errors.UserError(
            "connection", "The backend ended before the job did.", "Start it again; the job resumes."
        )
    failure = view.state.failure
    if failure is None:
        return view.state
    if failure.kind == "mistake":
        raise remote.BackendMistake(failure.message)
    raise errors.UserError(failure.kind, failure.message, failure.hint, failure.fix)


def _look_for_ends(_event: events.Event | None) -> None:
    jobs = current.session().jobs
    for job in [job for job in _awaited if job in jobs and jobs[job].is_over]:
        _awaited.pop(job)(jobs[job].state)


def register() -> None:
    current.listen(_look_for_ends)


def unregister() -> None:
    current.unlisten(_look_for_ends)
    _awaited.clear()
