"""The nine states of the backend as the user sees them: a sentence, the button that fits, and what follows what."""

from __future__ import annotations

from typing import Literal, assert_never

import msgspec

Mode = Literal["local", "running", "remote"]
State = Literal["not_installed", "installing", "broken", "stopped", "starting", "running", "busy", "lost", "failed"]
LinkState = Literal["connecting", "connected", "busy", "lost", "absent", "refused", "closed"]
Environment = Literal["missing", "broken", "whole"]

CONNECTED: frozenset[State] = frozenset({"running", "busy"})


class Button(msgspec.Struct, frozen=True):
    """What the user can do about the state."""

    operator: str  # its bl_idname
    label: str


class Life(msgspec.Struct, frozen=True):
    """The backend's state.

    mode: where the backend is: in our private environment, running already on this machine, or on another machine.
    environment: of the local one. owned: this Blender started the backend.
    progress: 0..1 while something is installed; None = unknown, or nothing is.
    """

    state: State = "stopped"
    sentence: str = ""
    button: Button | None = None
    progress: float | None = None
    mode: Mode = "local"
    environment: Environment = "missing"
    owned: bool = False


# ---- what can happen


class Surveyed(msgspec.Struct, frozen=True):
    """What the preferences say, and what was found on the disk."""

    mode: Mode
    environment: Environment
    why: str = ""  # the environment is broken


class InstallWent(msgspec.Struct, frozen=True):
    sentence: str
    fraction: float | None = None


class InstallEnded(msgspec.Struct, frozen=True):
    """The installer is done, in whatever way, and this is how the environment was found afterwards."""

    environment: Environment
    why: str = ""  # it is not whole


class StartAsked(msgspec.Struct, frozen=True):
    """owned: a process of ours was started, and not only a connection."""

    mode: Mode
    owned: bool


class ProcessEnded(msgspec.Struct, frozen=True):
    """The backend that we started. reason: "" = it ended as it should."""

    reason: str = ""


class StopAsked(msgspec.Struct, frozen=True):
    """We closed the connection, and ended the process if it is ours."""


class LinkChanged(msgspec.Struct, frozen=True):
    """What the connection says of itself.

    gone: with "absent": no backend is there, and none will come back by itself; `why` says why it ended, if known.
    ended: why the working process was started again, oldest first.
    """

    state: LinkState
    why: str = ""
    gone: bool = False
    device: str = ""
    is_local: bool = True
    ended: tuple[str, ...] = ()


LifeChanged = Surveyed | InstallWent | InstallEnded | StartAsked | ProcessEnded | StopAsked


def after(life: Life, happened: LifeChanged | LinkChanged) -> Life:
    """The state that follows."""
    match happened:
        case Surveyed():
            return _surveyed(life, happened)
        case InstallWent():
            return _life(life, "installing", happened.sentence, progress=happened.fraction)
        case InstallEnded():
            return _at_rest(msgspec.structs.replace(life, environment=happened.environment), happened.why)
        case StartAsked():
            return _life(msgspec.structs.replace(life, mode=happened.mode), "starting", owned=happened.owned)
        case ProcessEnded():
            return _life(life, "failed" if happened.reason else "stopped", happened.reason, owned=False)
        case StopAsked():
            return _at_rest(msgspec.structs.replace(life, owned=False))
        case LinkChanged():
            return _link_changed(life, happened)
        case _:
            assert_never(happened)


def _surveyed(life: Life, found: Surveyed) -> Life:
    if life.state in ("installing", "starting", "running", "busy", "lost"):
        return msgspec.structs.replace(life, environment=found.environment)  # it goes on as it was begun
    life = msgspec.structs.replace(life, mode=found.mode, environment=found.environment)
    if life.state == "failed" and (found.mode != "local" or found.environment == "whole"):
        return _life(life, "failed", life.sentence)
    return _at_rest(life, found.why)


def _link_changed(life: Life, link: LinkChanged) -> Life:
    is_in_use = life.state in ("starting", "running", "busy", "lost")
    match link.state:
        case "connected":
            return _life(life, "running")
        case "busy":
            return _life(life, "busy")
        case "refused":
            return _life(life, "failed", link.why)
        case "lost" if life.state in ("running", "busy", "lost"):
            return _life(life, "lost", link.why)
        case "absent" if is_in_use and link.gone and not life.owned:
            return _life(life, "failed", link.why)
        case "lost" | "absent" if life.state == "starting" and not life.owned:
            return _life(life, "starting", f"{link.why} Trying again.")
        case "absent" if life.state in ("running", "busy"):
            return _life(life, "lost", link.why)
        case "closed" if is_in_use:  # not by us: then nobody would have heard of it
            return _life(life, "failed", link.why or "The connection broke.")
        case _:
            return life


def _at_rest(life: Life, why: str = "") -> Life:
    """Nothing runs: what could be done next depends on what is there."""
    if life.mode == "local" and life.environment == "missing":
        return _life(life, "not_installed", why)
    if life.mode == "local" and life.environment == "broken":
        return _life(life, "broken", why)
    return _life(life, "stopped")


_SENTENCES: dict[State, str] = {
    "not_installed": "The backend is not installed yet.",
    "installing": "The backend is being installed.",
    "broken": "The backend's environment is not whole.",
    "stopped": "The backend is not running.",
    "starting": "The backend is starting.",
    "running": "The backend is ready.",
    "busy": "The backend is busy and will answer soon.",
    "lost": "The connection was lost; trying again.",
    "failed": "The backend could not start.",
}


def _life(
    life: Life,
    state: State,
    sentence: str = "",
    *,
    progress: float | None = None,
    owned: bool | None = None,
) -> Life:
    owned = life.owned if owned is None else owned
    return msgspec.structs.replace(
        life,
        state=state,
        sentence=sentence or (_elsewhere(state, life.mode) if life.mode != "local" else "") or _SENTENCES[state],
        button=_button(state, life.mode, owned),
        progress=progress,
        owned=owned,
    )


def _elsewhere(state: State, mode: Mode) -> str:
    where = "The backend on the other machine" if mode == "remote" else "The running backend"
    return {
        "stopped": f"{where} is not connected.",
        "starting": f"Connecting to {where[:1].lower()}{where[1:]}.",
        "running": f"{where} is connected.",
    }.get(state, "")


def _button(state: State, mode: Mode, owned: bool) -> Button:
    match state:
        case "not_installed":
            return Button("splatwright.backend_install", "Install the Backend")
        case "installing":
            return Button("splatwright.backend_cancel_install", "Cancel")
        case "broken":
            return Button("splatwright.backend_repair", "Repair")
        case "starting":
            return Button("splatwright.backend_stop", "Cancel")
        case "running" | "busy":
            return Button("splatwright.backend_stop", "Stop" if owned else "Disconnect")
        case "lost" if owned:  # its parent starts it again; a second one would only be in its way
            return Button("splatwright.backend_stop", "Stop")
        case "stopped" | "lost" | "failed" if mode == "local":
            return Button("splatwright.backend_start", "Start" if state == "stopped" else "Start Again")
        case _:
            return Button("splatwright.backend_connect", "Connect" if state == "stopped" else "Connect Again")


NOTHING_YET = _at_rest(Life())
