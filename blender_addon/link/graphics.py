"""Whether this machine has an NVIDIA GPU that the backend could use."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def has_nvidia_driver() -> bool:
    if sys.platform == "darwin":
        return False
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll").exists()
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
