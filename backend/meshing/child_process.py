"""Runs one of `mesh_libraries.TASKS` in a process of its own, which ends as soon as nobody wants its result.

Libraries for meshes give no sign of life while they work, hold Python's lock, and break off over what they cannot do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from shared_protocol.errors import UserError

_LOOK_EVERY_S = 0.05
_WORKER = "backend.meshing.mesh_libraries"
_KILLED = (-9, 137)  # exit codes of a process that the system ended, which it does for want of memory


def in_process(
    task: str, arrays: Mapping[str, np.ndarray], options: Mapping[str, float], watch: Callable[[], object]
) -> dict[str, np.ndarray]:
    """What the task makes of arrays and options.

    watch: called many times a second; what it raises ends the process and goes on to the caller.
    Raises UserError when the library cannot do it.
    """
    with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
        given, made, told = (Path(folder, name) for name in ("given.npz", "made.npz", "told.txt"))
        np.savez(
            given, allow_pickle=False, options=np.frombuffer(json.dumps(dict(options)).encode(), np.uint8), **arrays
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", _WORKER, task, str(given), str(made)]
        with told.open("wb") as words:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words
            )
            try:
                while process.poll() is None:
                    watch()
                    time.sleep(_LOOK_EVERY_S)
            finally:
                process.kill()
                process.wait()
        if process.returncode != 0 or not made.is_file():
            raise _failed(task, process.returncode, told.read_text(encoding="utf-8", errors="replace"))
        with np.load(made, allow_pickle=False) as result:
            return {name: result[name] for name in result.files}


def _failed(task: str, code: int, words: str) -> UserError:
    if code in _KILLED or "MemoryError" in words or "bad_alloc" in words:
        hint = "Lower the settings that make the mesh large, such as 'depth', 'resolution', 'faces' or 'texture'."
        return UserError("out_of_memory", f"The memory did not suffice to {task} the mesh.", hint)
    last = next((line for line in reversed(words.splitlines()) if line.strip()), f"exit code {code}")
    hint = "Choose another method, or change its settings."
    return UserError("bad_input", f"The library that should {task} the mesh could not: {last}.", hint)
