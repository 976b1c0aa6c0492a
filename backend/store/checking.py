"""Looks whether everything that the workspace lists is there and whole."""

from __future__ import annotations

from backend.store.assets import AssetStore
from backend.store.cards import CaptureCard, VersionCard
from backend.store.payload import flaw_of
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError


def check_workspace(workspace: Workspace) -> list[UserError]:
    """What is missing or damaged. Reads every version to its last byte."""
    store, catalogue = AssetStore(workspace), workspace.catalogue
    problems = []
    versions = {version.id: version for version in catalogue.all(VersionCard)}
    for version in versions.values():
        flaw = flaw_of(store.payload_path(version), version.bytes, version.sha256)
        if flaw is not None:
            problems.append(flaw)
        elif version.kind == "delta" and version.base not in versions:
            message = f"The version '{version.id}' changes the version '{version.base}', which is gone."
            problems.append(UserError("not_found", message, "Restore it from a backup, or use an older version."))
    for capture in catalogue.all(CaptureCard):
        files = [path for path in workspace.capture_folder(capture.id).rglob("*") if path.is_file()]
        if len(files) < capture.files:
            message = f"The capture '{capture.name}' holds {len(files)} of {capture.files} files."
            problems.append(UserError("not_found", message, "Send it again."))
    return problems
