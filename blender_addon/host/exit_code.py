"""What `blender -b` says to whoever started it, when a picture of it lacks its splats."""

from __future__ import annotations

import atexit
import os
import sys

import bpy

SPLATS_MISSING = 3
_is_failing = False


def fail_at_exit() -> None:
    """Blender without a window will end with an error, after all that it still has to do.

    Blender itself has no exit code for it. Where bpy is a module the process belongs to somebody else, and in a window
    the user has seen it.
    """
    global _is_failing
    if not _is_failing and bpy.app.background and not bpy.app.module:
        _is_failing = True
        atexit.register(_leave)


def _leave() -> None:
    print(f"Splats are missing from what was rendered: ending with code {SPLATS_MISSING}.", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(SPLATS_MISSING)
