"""Makes, verifies and removes the backend's private environment on a thread, and tells the session how far it is.

Not imported when Blender starts. Main thread only; nothing here waits.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import bpy

from ..core import install_plan, paths
from ..core.backend_settings import BackendSettings
from ..core.backend_state import InstallEnded, InstallWent
from ..link import environment, installer, pythons
from ..link.graphics import has_nvidia_driver
from ..protocol import errors
from . import backend_life, current

Action = Callable[[installer.Installer], None]
_END_S = 30.0

_installer: installer.Installer | None = None


def plan_for(chosen: BackendSettings) -> tuple[install_plan.Plan, pythons.FoundPython]:
    """What an installation would do, before the user agrees to it. Raises UserError when it could not even begin."""
    if not bpy.app.online_access:
        message = "Blender may not go online, so nothing can be downloaded."
        raise errors.UserError("refused", message, "Allow online access in the preferences, under System.")
    if chosen.wheel and "://" not in chosen.wheel and not Path(chosen.wheel).is_file():
        message = f"There is no wheel '{chosen.wheel}'."
        raise errors.UserError("not_found", message, "Choose the file in the preferences.")
    python = pythons.find_python(chosen.python, avoid=[Path(bpy.utils.resource_path("LOCAL"))])
    system = paths.system_of(sys.platform)
    places = backend_life.places()
    return install_plan.make_plan(python.path, places, source(chosen), system, cuda=wants_cuda(chosen)), python


def source(chosen: BackendSettings) -> install_plan.Source:
    """Where the backend's package and those that it needs come from."""
    wheel = chosen.wheel or backend_life.packed_wheel()
    return install_plan.Source(wheel, chosen.index, chosen.extra_index, backend_life.version())


def wants_cuda(chosen: BackendSettings) -> bool:
    return chosen.device == "cuda" or (chosen.device == "auto" and has_nvidia_driver())


def install(chosen: BackendSettings) -> None:
    """Makes the environment anew. Raises UserError when that cannot begin."""
    plan, _ = plan_for(chosen)
    _begin(plan, lambda run: run.install(backend_life.version(), cuda=wants_cuda(chosen)))


def verify() -> None:
    """Has the environment check itself. Raises UserError when there is none."""
    places = backend_life.places()
    if not Path(places.environment).exists():
        raise errors.UserError("not_found", "The backend is not installed.", "Install it first.")
    _begin(install_plan.Plan((install_plan.check(places),), 0, 0), lambda run: run.verify())


def remove() -> None:
    """Takes the environment away, when a backend of ours that was asked to end has ended."""
    ending = backend_life.ending()

    def take_away(_run: installer.Installer) -> None:
        if ending is not None:
            ending.wait(_END_S)
        installer.remove(backend_life.places())

    _begin(install_plan.Plan((), 0, 0), take_away, "Removing the environment.")


def cancel() -> None:
    if _installer is not None:
        _installer.cancel()


def is_at_work() -> bool:
    return _installer is not None


def _begin(plan: install_plan.Plan, action: Action, sentence: str = "Beginning.") -> None:
    global _installer
    if _installer is not None:
        raise errors.UserError("refused", "The environment is being worked on already.", "Wait until that is done.")
    if current.session().life.state in ("starting", "running", "busy", "lost"):
        raise errors.UserError("refused", "The backend is running.", "Stop it first.", "splatwright.backend_stop")

    def tell(progress: install_plan.Progress) -> None:
        current.post(lambda: current.dispatch(InstallWent(progress.sentence, progress.fraction)))

    run = _installer = installer.Installer(backend_life.places(), plan, on_progress=tell)
    current.dispatch(InstallWent(sentence))
    threading.Thread(target=_work, args=(run, action), name="backend environment", daemon=True).start()


def _work(run: installer.Installer, action: Action) -> None:
    outcome: Exception | None = RuntimeError("the installer broke; Blender's console says how")
    try:
        action(run)
        outcome = None
    except (errors.UserError, installer.Cancelled, OSError) as error:
        outcome = error
    finally:
        current.post(lambda: _ended(outcome))


def _ended(outcome: Exception | None) -> None:
    global _installer
    _installer = None
    found, why = environment.survey(backend_life.places(), backend_life.version())
    if isinstance(outcome, installer.Cancelled):
        why = "The installation was cancelled half-way." if found == "broken" else ""
    elif outcome is not None:
        why = str(outcome)
    current.dispatch(InstallEnded(found, why))
    if outcome is not None and not isinstance(outcome, installer.Cancelled):
        current.tell(outcome)
