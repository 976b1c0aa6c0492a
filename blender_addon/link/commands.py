"""How other programs are started: without Blender's variables, without a window, without our handles."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

# What Blender, or whoever started it, wants of its own Python must not reach another one.
_NOT_FOR_OTHERS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def clean_variables(**more: str) -> dict[str, str]:
    variables: Mapping[str, str] = os.environ
    kept = {name: value for name, value in variables.items() if name not in _NOT_FOR_OTHERS}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **more}


def quiet_flags() -> int:
    """On Windows no console pops up."""
    return getattr(subprocess, "CREATE_NO_WINDOW", 0)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """At once, with all that it started; the process must have been started in a session of its own."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            capture_output=True,
            check=False,
            creationflags=quiet_flags(),
        )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
