"""The running extension: the one session, what happens to it, and what that means for Blender. Main thread only."""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never

import bpy

from ..core import effects, events
from ..core.reducer import receive
from ..core.session import Session
from ..link.backend_link import BackendLink
from ..protocol import errors, messages, things

if TYPE_CHECKING:
    from concurrent.futures import Future

log = logging.getLogger(__name__)

DRAIN_S = 0.004  # at most, so that a tick never costs a frame
Listener = Callable[[events.Event], None]
_STATUS_S = 8.0
_REDRAWN = ("VIEW_3D", "PROPERTIES", "PREFERENCES")

_session = Session()
_link: BackendLink | None = None
_pending: deque[events.Event] = deque()
_calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_listeners: list[Listener] = []
_trace = ""
_status_until: float | None = None  # when the line in the status bar goes


def session() -> Session:
    return _session


def link() -> BackendLink | None:
    """None when the backend is not connected."""
    return _link if _link is not None and _session.is_connected else None


def open_link() -> BackendLink | None:
    """The link there is, whether it is connected by now or not."""
    return _link


def set_link(new: BackendLink | None) -> None:
    """The old one is closed, and what it still says is not heard."""
    global _link
    old, _link = _link, new
    if old is not None:
        _pending.clear()
        old.close()


def connect(timeout_s: float = 60.0) -> BackendLink:
    """A connected backend; the one that the preferences name is started or connected to. Raises UserError."""
    from . import backend_life

    return backend_life.connect(timeout_s)


# ---- what happens


def dispatch(event: events.Event) -> None:
    """The session follows the event, the effects are carried out, the listeners hear of it."""
    global _session
    _session, wanted = receive(_session, event)
    for effect in wanted:
        _carry_out(effect)
    for listener in tuple(_listeners):
        listener(event)


def listen(callback: Listener) -> None:
    """callback(event) is called for every event, after the session has followed it."""
    if callback not in _listeners:
        _listeners.append(callback)


def unlisten(callback: Listener) -> None:
    if callback in _listeners:
        _listeners.remove(callback)


def post(call: Callable[[], None]) -> None:
    """From any thread: the call is made on the main thread, by the next drain."""
    _calls.put(call)


def when_done(future: Future[Any], callback: Callable[[Any], None]) -> None:
    """callback(result or exception) is called on the main thread, by a drain after the future is done."""

    def done(future: Future[Any]) -> None:
        if future.cancelled():
            from concurrent.futures import CancelledError  # Blender starts without it

            post(lambda: callback(CancelledError()))
            return
        error = future.exception()
        post(lambda: callback(error if error is not None else future.result()))

    future.add_done_callback(done)


def drain(seconds: float = DRAIN_S) -> None:
    """What the link and other threads have said meanwhile, for so long at most; the rest stays for the next time."""
    deadline = time.perf_counter() + seconds
    _clear_status_bar()
    if _link is not None:
        _pending.extend(_link.drain())
    while True:
        if _pending:
            dispatch(_pending.popleft())
        else:
            try:
                call = _calls.get_nowait()
            except queue.Empty:
                return
            call()
        if time.perf_counter() >= deadline:
            return


def wait_until(predicate: Callable[[], bool], seconds: float) -> bool:
    """Drains by hand until the predicate holds; False when it does not within so many seconds.

    For `blender -b`, the bpy module and scripts, where timers do not run. In a window it would stop Blender.
    """
    deadline = time.monotonic() + seconds
    while True:
        drain(0.1)
        if predicate():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)


def _carry_out(effect: effects.Effect) -> None:
    match effect:
        case effects.Redraw():
            redraw()
        case effects.Ask(message):
            _ask(message)
        case effects.ShowVersion(asset, version, job, label, selection, hidden, apart):
            from . import objects

            objects.show_version(asset, version, label, selection=selection, hidden=hidden, apart=apart, job=job)
        case effects.AssetGone():
            redraw()
        case effects.Tell(level, text):
            say(text, {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}[level])
        case _:
            assert_never(effect)


def _ask(message: messages.ListMethods | messages.ListJobs | messages.ListAssets) -> None:
    asked = _link
    if asked is None:
        return

    def answered(answer: Any) -> None:
        if _link is not asked:
            return  # another backend's things
        match answer:
            case messages.Catalog(methods, reads, writes, formats):
                dispatch(events.CatalogCame(methods, reads, writes, formats))
            case messages.AssetList(assets=assets):
                dispatch(events.AssetsCame(assets))
            case messages.JobList(jobs=jobs):
                dispatch(events.JobsCame(jobs, time.monotonic()))
            case errors.UserError() if answer.kind == "connection":
                pass  # it is asked again when the connection is back
            case BaseException():
                tell(answer)

    try:
        when_done(asked.ask(message), answered)
    except errors.UserError:  # the link was closed in this very moment
        log.debug("Nobody to ask for %s", type(message).__name__)


# ---- what the user is told


def is_interactive() -> bool:
    """Whether there is a window, so that the tick drains by itself."""
    manager: Any = bpy.context.window_manager
    return not bpy.app.background and manager is not None and len(manager.windows) > 0


def redraw() -> None:
    """Has the viewports, with their sidebars, the properties and the preferences drawn again."""
    manager: Any = bpy.context.window_manager
    if bpy.app.background or manager is None:
        return
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type in _REDRAWN:
                area.tag_redraw()


def tell(error: BaseException) -> None:
    """Shows what went wrong in the panel: a UserError as it is; of all else a sentence, with a report to copy."""
    global _trace
    import traceback  # Blender starts without it

    if isinstance(error, errors.UserError):
        log.warning("%s", error)
        failure = things.Failed.of(error)
    else:
        _trace = "".join(traceback.format_exception(error))
        log.error("%s", _trace)
        failure = things.Failed(
            kind="mistake",
            message=f"Something went wrong in Splatwright: {type(error).__name__}.",
            hint="Copy the report and send it to us.",
            fix="splatwright.copy_report",
        )
    dispatch(events.FailureCame(failure))


def report() -> str:
    """What we need to know about a mistake of ours; no file names but those of the program, no addresses."""
    import platform

    life = _session.life
    lines = [
        f"Blender {bpy.app.version_string} ({bpy.app.build_platform.decode(errors='replace')}), {platform.platform()}",
        f"Python {platform.python_version()}",
        f"Backend: {life.mode}, {life.state}: {life.sentence} Device: {_session.device or 'unknown'}",
        *(f"{job.state.method} {job.state.status} at {job.state.step}" for job in _session.jobs.values()),
    ]
    if _session.failure is not None:
        lines.append(f"{_session.failure.kind}: {_session.failure.message}")
    return "\n".join([*lines, "", _trace]).strip() + "\n"


def say(text: str, level: int = logging.INFO) -> None:
    """A line in the log, and for some seconds in Blender's status bar."""
    global _status_until
    log.log(level, text)
    workspace: Any = bpy.context.workspace
    if is_interactive() and workspace is not None:
        workspace.status_text_set(text)
        _status_until = time.monotonic() + _STATUS_S


def _clear_status_bar() -> None:
    global _status_until
    if _status_until is not None and time.monotonic() > _status_until:
        _status_until = None
        workspace: Any = bpy.context.workspace
        if workspace is not None:
            workspace.status_text_set(None)


def close() -> None:
    """The extension ends: the link is closed, and nothing of this session is left for the next one."""
    global _session, _trace
    set_link(None)
    _session, _trace = Session(), ""
    _pending.clear()
    _listeners.clear()
    while not _calls.empty():
        _calls.get_nowait()
