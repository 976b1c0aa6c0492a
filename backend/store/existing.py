"""Opens a workspace for a command that works in it and goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.store.workspace import Workspace, is_workspace
from shared_protocol.connection import user_folder
from shared_protocol.errors import UserError


def default_workspace() -> Path:
    """Where a backend that is told nothing else keeps its things."""
    return user_folder() / "workspace"


@contextmanager
def open_existing(folder: Path | None) -> Iterator[Workspace]:
    """folder: None = the default one. Raises UserError when there is no workspace, or a backend works in it."""
    folder = folder or default_workspace()
    if not is_workspace(folder):
        raise UserError("not_found", f"'{folder}' is no workspace.", "Give the folder of one with --workspace.")
    workspace = Workspace(folder)
    try:
        yield workspace
    finally:
        workspace.close()
