"""Which files of this machine a client may name."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from shared_protocol.errors import UserError


class AllowedFolders:
    """The workspace, the folders given at the start, and on loopback those that the user picks."""

    def __init__(self, folders: Iterable[Path], *, may_grow: bool) -> None:
        self._folders = {Path(folder).resolve() for folder in folders}
        self._may_grow = may_grow
        self._lock = threading.Lock()

    def allow(self, text: str) -> None:
        """Raises UserError when it is no folder, or this client may not choose one."""
        path = _resolved(text)
        if self._holds(path):
            return
        if not self._may_grow:
            raise _outside(text, "Start the backend with --allow FOLDER, or let the client send its files.")
        if not path.is_dir():
            raise UserError("not_found", f"'{text}' is no folder.", "Choose a folder.")
        with self._lock:
            self._folders.add(path)

    def check(self, text: str) -> Path:
        """The absolute path with all links resolved. Raises UserError for what lies outside, there or not."""
        path = _resolved(text)
        if not self._holds(path):
            hint = "Allow its folder first." if self._may_grow else "Start the backend with --allow FOLDER."
            raise _outside(text, hint)
        return path

    def _holds(self, path: Path) -> bool:
        with self._lock:
            return any(path.is_relative_to(folder) for folder in self._folders)


def _resolved(text: str) -> Path:
    if not Path(text).is_absolute() or "\0" in text:
        raise UserError("bad_input", f"'{text}' is not an absolute path.", "Give the whole path.")
    try:
        return Path(text).resolve()
    except (OSError, RuntimeError) as error:  # a ring of links
        raise UserError("bad_input", f"'{text}' cannot be resolved.", "Give another path.") from error


def _outside(text: str, hint: str) -> UserError:
    return UserError("refused", f"The backend may not use '{text}'.", hint)
