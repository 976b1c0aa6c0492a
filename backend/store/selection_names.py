"""What else is known of a version's splats: names of selections, what masks showed, and how much is seen of each."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from backend.splats.io.atomic import write_bytes
from backend.store.cards import VersionCard
from backend.store.payload import read_arrays, write_arrays
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError

_MOST = 200  # names
_NAMES, _SUMS, _SEEN = "names.json", "labels.safetensors", "visibility.safetensors"


class SelectionNames:
    """Beside a version's selections; all of it goes with the version."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._selections = workspace, SelectionStore(workspace)

    def all(self, version: VersionCard) -> dict[str, str]:
        """Names and their selections, in the order of the names. Raises UserError when the file is damaged."""
        path = self._folder(version) / _NAMES
        try:
            return dict(sorted(msgspec.json.decode(path.read_bytes(), type=dict[str, str]).items()))
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise _damaged(path) from error

    def name(self, version: VersionCard, name: str, selection: str) -> None:
        """selection: "" forgets the name. Raises UserError for an unknown selection, and for too many names."""
        self._selections.read(version, selection)
        names = self.all(version)
        if not selection:
            names.pop(name, None)
        elif len(names | {name: selection}) > _MOST:
            raise UserError("bad_input", f"There are {_MOST} named selections already.", "Forget one of them first.")
        else:
            names[name] = selection
        self._write(version, names)

    def selected(self, version: VersionCard, name: str) -> np.ndarray:
        """bool [N]. Raises UserError when nothing has that name."""
        names = self.all(version)
        if name not in names:
            raise UserError("not_found", f"No selection is named '{name}'.", "Choose one of those in the list.")
        return self._selections.read(version, names[name])

    def carry(self, version: VersionCard, made: VersionCard, sources: np.ndarray) -> None:
        """Names and sums go on to a version that was made of this one.

        sources: [M] of which splat each of the new ones was made; -1 = of none. Names of which nothing is left go.
        """
        is_carried = sources >= 0
        names = {
            name: self._selections.keep(made, is_carried & self._selections.read(version, selection)[sources])
            for name, selection in self.all(version).items()
        }
        if any(names.values()):
            self._write(made, {name: selection for name, selection in names.items() if selection})
        sums = self.label_sums(version)
        if sums is not None:
            self.keep_label_sums(made, np.where(is_carried[:, None], sums[sources], 0))

    def label_sums(self, version: VersionCard) -> np.ndarray | None:
        """float32 [N, E], of `flash_splat.label_sums`; None where nobody gave masks."""
        path = self._folder(version) / _SUMS
        if not path.is_file():
            return None
        sums = read_arrays(path).get("sums")
        if sums is None or sums.ndim != 2 or len(sums) != version.splats or sums.dtype != np.float32:
            raise _damaged(path)
        return sums

    def keep_label_sums(self, version: VersionCard, sums: np.ndarray) -> None:
        path = self._folder(version) / _SUMS
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, {"sums": np.ascontiguousarray(sums, np.float32)})

    def visibility(self, version: VersionCard) -> np.ndarray | None:
        """float32 [N], of `importance.visibilities`; None where it was not measured: what is edited is seen anew."""
        path = self._folder(version) / _SEEN
        if not path.is_file():
            return None
        seen = read_arrays(path).get("visibility")
        if seen is None or seen.shape != (version.splats,) or seen.dtype != np.float32:
            raise _damaged(path)
        return seen

    def keep_visibility(self, version: VersionCard, seen: np.ndarray) -> None:
        path = self._folder(version) / _SEEN
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, {"visibility": np.ascontiguousarray(seen, np.float32)})

    def _write(self, version: VersionCard, names: dict[str, str]) -> None:
        path = self._folder(version) / _NAMES
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, msgspec.json.encode(names))

    def _folder(self, version: VersionCard) -> Path:
        return self._workspace.asset_folder(version.asset) / "selections" / version.id


def _damaged(path: Path) -> UserError:
    return UserError("bad_input", f"'{path}' is damaged.", "Delete that file, then name or label the splats again.")
