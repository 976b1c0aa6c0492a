"""How well versions look beside photos: a file beside each version, which goes when the version goes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from backend.splats.io.atomic import write_bytes
from backend.store.cards import VersionCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.things import Color, FolderCapture, MeasuredView, UploadedCapture


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How photos are made ready before splats are compared with them."""

    max_pixels: int  # a photo with more is made smaller
    masks: str  # a `backend.captures.MaskUse`
    background: Color  # behind opaque photos; those with transparency are compared on white
    near_plane: float  # of the distance between the cameras


class VersionFigures(msgspec.Struct, frozen=True, kw_only=True):
    capture: FolderCapture | UploadedCapture
    terms: Terms
    views: tuple[MeasuredView, ...]  # by name


class FiguresStore:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def keep(self, version: VersionCard, figures: VersionFigures) -> None:
        """In the place of older ones. Raises UserError when the disk is full."""
        path = self._path(version)
        path.parent.mkdir(exist_ok=True)
        write_bytes(path, msgspec.json.format(msgspec.json.encode(figures)) + b"\n")

    def find(self, version: VersionCard) -> VersionFigures | None:
        """None = nobody has measured this version. Raises UserError when the file is damaged."""
        path = self._path(version)
        try:
            return msgspec.json.decode(path.read_bytes(), type=VersionFigures)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UserError("bad_input", f"'{path}' is damaged.", "Measure the version again.") from error

    def forget(self, version: VersionCard) -> None:
        self._path(version).unlink(missing_ok=True)

    def _path(self, version: VersionCard) -> Path:
        return self._workspace.version_path(version.asset, version.id).parents[1] / "figures" / f"{version.id}.json"
