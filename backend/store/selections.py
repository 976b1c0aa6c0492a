"""Selections of a version's splats: a bit a splat, each in a file of its own that never changes."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from pathlib import Path

import msgspec
import numpy as np

from backend.splats.io.atomic import write_bytes
from backend.store.cards import VersionCard
from backend.store.select_steps import SelectStep, decode_steps, encode_steps
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError


class SelectionStore:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def keep(self, version: VersionCard, selected: np.ndarray, steps: tuple[SelectStep, ...] = ()) -> str:
        """selected: bool [N]. The same splats of the same version have the same name; "" = no splats.

        steps: how it came about; what the same splats were selected by last is remembered.
        Raises UserError when the disk is full.
        """
        if len(selected) != version.splats:
            raise ValueError(f"a selection of {len(selected)} splats is none of a version of {version.splats}")
        if not selected.any():
            return ""
        bits = np.packbits(selected).tobytes()
        name = hashlib.sha256(version.id.encode() + b" " + bits).hexdigest()[:32]
        path = self._path(version, name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, zlib.compress(bits, 1))
        if steps:
            write_bytes(path.with_suffix(".json"), encode_steps(steps))
        return name

    def steps(self, version: VersionCard, selection: str) -> tuple[SelectStep, ...]:
        """How a selection came about; none where nobody knows."""
        path = self._path(version, selection).with_suffix(".json")
        try:
            return decode_steps(path.read_bytes())
        except FileNotFoundError:
            return ()
        except msgspec.DecodeError as error:
            raise _damaged(path) from error

    def read(self, version: VersionCard, selection: str) -> np.ndarray:
        """bool [N]; none is selected where the name is "". Raises UserError when it is not here, or damaged."""
        if not selection:
            return np.zeros(version.splats, bool)
        path = self._path(version, selection)
        try:
            bits = np.frombuffer(zlib.decompress(path.read_bytes()), np.uint8)
        except FileNotFoundError as error:
            message = "That selection is not one of this version of the splats."
            raise UserError("not_found", message, "Select the splats again.") from error
        except zlib.error as error:
            raise _damaged(path) from error
        if len(bits) != (version.splats + 7) // 8:
            raise _damaged(path)
        return np.unpackbits(bits, count=version.splats).view(bool)

    def forget(self, version: VersionCard) -> None:
        """All selections of it."""
        shutil.rmtree(self._folder(version), ignore_errors=True)

    def _folder(self, version: VersionCard) -> Path:
        return self._workspace.asset_folder(version.asset) / "selections" / version.id

    def _path(self, version: VersionCard, selection: str) -> Path:
        if not (selection.isascii() and selection.isalnum()):
            raise UserError("bad_input", "That is no name of a selection.", "Select the splats again.")
        return self._folder(version) / f"{selection}.bits"


def _damaged(path: Path) -> UserError:
    return UserError("bad_input", f"The selection '{path}' is damaged.", "Select the splats again.")
