"""Reads a file in a process of its own, for libraries that crash, or take all memory, over files that are damaged.

What the process read comes back as arrays in a file, never as code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.content import SplatContent, damaged
from shared_protocol.errors import UserError

_CLOUD = ("means", "quats", "log_scales", "opacity_logits", "sh")
_LONGEST_S = 600
_LEAST_MEMORY, _MEMORY_PER_BYTE = 3 << 30, 12  # of address space, most of which libraries only reserve
_REFUSED = 3  # the exit code with which the process says that it has written why


def read_in_process(path: Path, module: str) -> SplatContent:
    """What `read_here` of a module of this package finds in the file.

    Raises UserError as that function does, and when its process dies, or needs more time or memory than an honest file.
    """
    with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
        result = Path(folder, "read.npz")
        command = [sys.executable, "-m", __name__, module, str(path.absolute()), str(result)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=_LONGEST_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise damaged(path, f"it could not be read in {_LONGEST_S // 60} minutes") from error
        if done.returncode not in (0, _REFUSED) or not result.is_file():
            raise damaged(path, "the library for its format breaks off over it")
        with np.load(result, allow_pickle=False) as arrays:
            told = json.loads(arrays["told"].tobytes())
            if done.returncode == _REFUSED:
                raise UserError(told["kind"], told["message"].replace(str(path.absolute()), str(path)), told["hint"])
            cloud = SplatCloud(*(arrays[name] for name in _CLOUD))
        return SplatContent(cloud, told["frame"], told["antialiased"], notes=tuple(told["notes"]))


def _main(module: str, path: Path, result: Path) -> int:
    _limit_memory(path.stat().st_size)
    arrays: dict[str, np.ndarray] = {}
    try:
        content: SplatContent = import_module(f"backend.splats.io.{module}").read_here(path)
    except UserError as error:
        told, code = {"kind": error.kind, "message": error.message, "hint": error.hint}, _REFUSED
    else:
        told = {"frame": content.frame, "antialiased": content.antialiased, "notes": content.notes}
        arrays, code = {name: getattr(content.cloud, name) for name in _CLOUD}, 0
    np.savez(result, allow_pickle=False, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)
    return code


def _limit_memory(file_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    limit = _LEAST_MEMORY + _MEMORY_PER_BYTE * file_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
