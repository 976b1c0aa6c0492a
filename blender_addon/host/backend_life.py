"""Starts, finds and stops the backend as the preferences say. Main thread only; only `connect` and `stop` wait."""

from __future__ import annotations

import atexit
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..core import backend_state, events, paths
from ..core.backend_settings import BackendSettings
from ..core.backend_state import ProcessEnded, StartAsked, StopAsked, Surveyed
from ..link import environment
from ..link.backend_link import BackendLink
from ..protocol import connection, errors
from . import current, preferences

# Blender starts without sockets and processes: who needs them imports them then.
if TYPE_CHECKING:
    from ..link import targets
    from ..link.backend_process import BackendProcess

_AT_REST: frozenset[backend_state.State] = frozenset({"not_installed", "broken", "stopped", "failed"})
_LISTS_S = 20.0

_process: BackendProcess | None = None  # the backend that belongs to this Blender
_ending: BackendProcess | None = None  # one that was asked to end


# ---- start and stop


def start(chosen: BackendSettings | None = None) -> None:
    """Connects to the backend that runs already, else starts one. Raises UserError when neither can be."""
    global _process
    from ..link import targets
    from ..link.backend_process import BackendProcess

    chosen = chosen or preferences.settings()
    if current.session().life.state in ("starting", "running", "busy") or _process is not None:
        return  # it runs, or is being started again
    if chosen.mode != "local":
        attach(chosen)
        return
    file = connection.connection_file()
    is_ending = _ending is not None and _ending.is_alive
    if not is_ending and targets.is_running(file):
        attach(chosen)
        return
    command = serve_command(chosen)
    _open(targets.local(file, not_token=targets.token(file)), "local", owned=True)
    _process = BackendProcess(command, log_file(), on_end=_on_end, after=_ending if is_ending else None)
    _process.start()


def attach(chosen: BackendSettings | None = None) -> None:
    """Connects to a backend that runs already, here or elsewhere. Raises UserError when that cannot be tried."""
    from ..link import targets

    chosen = chosen or preferences.settings()
    if chosen.mode == "remote":
        if not chosen.address or not chosen.key_file:
            message = "A backend on another machine needs an address and a key file."
            raise errors.UserError("bad_input", message, "Give both in the preferences.")
        if not bpy.app.online_access:
            message = "Blender may not go online, so no other machine can be asked."
            raise errors.UserError("refused", message, "Allow online access in the preferences, under System.")
        find = targets.remote(chosen.address, Path(chosen.key_file))
    else:
        find = targets.local(Path(chosen.connection_file) if chosen.connection_file else connection.connection_file())
    _open(find, chosen.mode, owned=False)


def connect(timeout_s: float, chosen: BackendSettings | None = None) -> BackendLink:
    """Waits until the backend is connected and has said what there is. Raises UserError."""
    if not current.session().is_connected:
        if current.session().life.state not in ("starting", "lost"):
            start(chosen)
        current.wait_until(
            lambda: current.session().is_connected or current.session().life.state in _AT_REST, timeout_s
        )
    current.wait_until(lambda: current.session().is_listed or not current.session().is_connected, _LISTS_S)
    link = current.link()
    if link is None:
        raise _no_connection(timeout_s)
    return link


def _no_connection(waited_s: float) -> errors.UserError:
    life = current.session().life
    message = life.sentence if life.state in _AT_REST else f"The backend did not answer within {waited_s:.0f} s."
    hint = "The backend's log says more." if life.mode == "local" else ""
    return errors.UserError("connection", message, hint, life.button.operator if life.button is not None else "")


def stop(wait_s: float = 0.0) -> None:
    """Disconnects; a backend of ours is asked to checkpoint its job and to end."""
    global _process, _ending
    process, _process = _process, None
    current.dispatch(StopAsked())
    current.set_link(None)
    if process is not None:
        _ending = process
        process.stop()
        process.wait(wait_s)
    survey()


def look_for_backend() -> None:
    """Connects to a backend of this machine if one runs already: a Blender that crashed finds its job again."""
    chosen = preferences.settings()
    file = Path(chosen.connection_file) if chosen.connection_file else connection.connection_file()
    if chosen.mode == "remote" or current.open_link() is not None or not file.exists():
        return
    from ..link import targets

    if targets.is_running(file):
        attach(chosen)


def serve_command(chosen: BackendSettings) -> tuple[str, ...]:
    """Raises UserError when there is no backend that could be started."""
    command = chosen.command or os.environ.get(paths.COMMAND_VARIABLE, "")
    if command:
        beginning = (command,)
        if not Path(command).exists():
            message = f"The backend's command '{command}' does not exist."
            raise errors.UserError("not_found", message, "Give the path of `splatwright`.")
    else:
        found, why = environment.survey(places(), version())
        if found != "whole":
            message = why or "The backend is not installed yet."
            operator = "splatwright.backend_install" if found == "missing" else "splatwright.backend_repair"
            raise errors.UserError("missing_dependency", message, "Install it first.", operator)
        beginning = (str(places().python), "-m", "backend")
    workspace = ("--workspace", chosen.workspace) if chosen.workspace else ()
    return (*beginning, "serve", "--owned", "--at-end", chosen.at_end, "--device", chosen.device, *workspace)


def _open(find: targets.Find, mode: backend_state.Mode, *, owned: bool) -> None:
    link = BackendLink(find)
    current.set_link(link)
    current.dispatch(StartAsked(mode, owned))
    link.start()


def _on_end(process: BackendProcess) -> None:
    current.post(lambda: _process_ended(process))


def _process_ended(process: BackendProcess) -> None:
    global _process
    if process is not _process:  # it was asked to end, and nobody waits for it
        return
    from ..link import targets

    _process = None
    current.set_link(None)
    current.dispatch(ProcessEnded(process.reason))
    if process.reason and targets.is_running(connection.connection_file()):
        attach()  # another Blender was quicker


def _watch(event: events.Event) -> None:
    """A link that was refused, or whose backend is gone for good, does not go on knocking."""
    global _process, _ending
    if isinstance(event, events.LinkChanged) and current.session().life.state in _AT_REST:
        current.set_link(None)
        if _process is not None:  # it speaks another version than we do
            _process, _ending = None, _process
            _ending.stop()


# ---- where things are


def survey() -> None:
    """Looks at the preferences and at the disk, and says so to the session."""
    chosen = preferences.settings()
    if chosen.command or os.environ.get(paths.COMMAND_VARIABLE):
        current.dispatch(Surveyed(chosen.mode, "whole"))
    else:
        current.dispatch(Surveyed(chosen.mode, *environment.survey(places(), version())))


def places() -> paths.Places:
    return paths.places(paths.system_of(sys.platform), os.environ, Path.home())


def log_file() -> Path:
    return Path(places().log)


def last_lines(count: int = 20) -> list[str]:
    """Of the log of the backend that this Blender started."""
    from ..link.backend_process import log_tail

    return log_tail(log_file(), count)


def packed_wheel() -> str:
    """The backend's package that came along with the extension; "" in a checkout."""
    return str(next((Path(__file__).parent.parent / "backend_package").glob("*.whl"), ""))


def version() -> str:
    """Of the extension, which is the one of the backend that it needs; "" in a checkout."""
    manifest = Path(__file__).parent.parent / "blender_manifest.toml"
    try:
        found = re.search(r'^version = "(.+)"', manifest.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def ending() -> BackendProcess | None:
    """A backend of ours that was asked to end, and may still be at it."""
    return _ending


def leave() -> None:
    """Blender ends: the backend of ours finishes its job, or checkpoints it, as it was told at its start."""
    global _process, _ending
    for process in (_process, _ending):
        if process is not None:
            process.let_go()
    _process = _ending = None
    current.close()


def register() -> None:
    current.listen(_watch)
    survey()
    atexit.register(leave)  # Blender as a Python module ends without disabling extensions, and would wait for the link


def unregister() -> None:
    atexit.unregister(leave)
    leave()
