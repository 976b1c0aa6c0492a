"""Keeps a folder to one process; the operating system lets go of it however that process ends."""

from __future__ import annotations

import os
from pathlib import Path

from shared_protocol.errors import UserError


class FolderLock:
    def __init__(self, path: Path) -> None:
        """Raises UserError when another process holds the folder."""
        self._stream = path.open("a+b")
        try:
            _lock(self._stream.fileno())
        except OSError as error:
            self._stream.close()
            message = f"Another Splatwright backend is working in '{path.parent}'."
            raise UserError("refused", message, "End it first, or choose another workspace.") from error

    def release(self) -> None:
        self._stream.close()


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
