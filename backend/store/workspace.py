"""A workspace: the folder in which assets, captures and jobs last, and the cards of everything in it.

workspace.json                            what this folder is
catalogue.sqlite                          the index; may be lost at any time
assets/ASSET/asset.json
assets/ASSET/versions/VERSION.json        beside VERSION.safetensors
captures/CAPTURE/                         the files of a capture, and .capture.json
captures/.incoming/CAPTURE/               a capture that is still being sent
jobs/JOB/job.json                         beside checkpoints and the report
holders/HOLDER.json                       who can still reach which versions
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from backend.splats.io.atomic import write_bytes
from backend.store.alive import AliveClouds
from backend.store.cards import (
    AnyCard,
    AssetCard,
    CaptureCard,
    Card,
    CardType,
    HolderCard,
    JobCard,
    VersionCard,
    is_id,
    read_card,
    write_card,
)
from backend.store.catalogue import Catalogue
from backend.store.folder_lock import FolderLock
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)

_MARK = "workspace.json"
_FORMAT = 1
_PATTERNS = {
    AssetCard: "assets/*/asset.json",
    VersionCard: "assets/*/versions/*.json",
    CaptureCard: "captures/*/.capture.json",
    JobCard: "jobs/*/job.json",
    HolderCard: "holders/*.json",
}


class _Mark(msgspec.Struct, frozen=True):
    format: int
    program: str = "splatwright"


class Workspace:
    """Keeps cards in files and in the catalogue alike. One process at a time, but any of its threads."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder, or makes it. Raises UserError when it is something else, or another process has it."""
        self.folder = Path(folder).absolute()
        self.alive = AliveClouds()
        _make_or_check(self.folder)
        self._lock = FolderLock(self.folder / ".lock")
        try:
            self.catalogue = Catalogue(self.folder / "catalogue.sqlite")
            self.mended = self._mend()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        self.catalogue.close()
        self._lock.release()

    def asset_folder(self, asset: str) -> Path:
        return self.folder / "assets" / _checked(asset)

    def version_path(self, asset: str, version: str) -> Path:
        """Of the card; the payload has the same name and ends in .safetensors."""
        return self.asset_folder(asset) / "versions" / f"{_checked(version)}.json"

    def capture_folder(self, capture: str) -> Path:
        return self.folder / "captures" / _checked(capture)

    def incoming_folder(self, capture: str) -> Path:
        return self.folder / "captures" / ".incoming" / _checked(capture)

    def job_folder(self, job: str) -> Path:
        return self.folder / "jobs" / _checked(job)

    def path_of(self, card: Card) -> Path:
        """Where the card's file is."""
        match card:
            case AssetCard():
                return self.asset_folder(card.id) / "asset.json"
            case VersionCard():
                return self.version_path(card.asset, card.id)
            case CaptureCard():
                return self.capture_folder(card.id) / ".capture.json"
            case JobCard():
                return self.job_folder(card.id) / "job.json"
            case HolderCard():
                return self.folder / "holders" / f"{_checked(card.id)}.json"
        raise TypeError(f"{type(card).__name__} has no file")

    def keep(self, card: AnyCard) -> None:
        """Writes the card's file and then the catalogue. Raises UserError when the disk is full."""
        path = self.path_of(card)
        write_card(path, card)
        self.catalogue.put(card, _stamp(path))

    def drop(self, card: AnyCard) -> None:
        """Removes the card's file and forgets it."""
        self.path_of(card).unlink(missing_ok=True)
        self.catalogue.remove(type(card), card.id)

    def find(self, card_type: type[CardType], identifier: str, noun: str) -> CardType:
        """Raises UserError when there is no such card."""
        card = self.catalogue.find(card_type, identifier)
        if card is None:
            raise UserError("not_found", f"There is no {noun} '{identifier}' here.", "It may have been removed.")
        return card

    def rebuild(self) -> list[UserError]:
        """Makes the catalogue anew from the files and returns what could not be read."""
        self.catalogue.forget(self.catalogue.stamps())
        problems: list[UserError] = []
        self._mend(problems)
        return problems

    def _mend(self, problems: list[UserError] | None = None) -> int:
        """Brings the catalogue up to the files; returns how many cards differed.

        A process that is killed between writing a card's file and the catalogue leaves them apart.
        """
        known, changed = self.catalogue.stamps(), []
        for card_type, path, stamp in self._card_files():
            key = (str(card_type.__struct_config__.tag), _id_of(path))
            if known.pop(key, None) == stamp:
                continue
            try:
                card = read_card(path)
            except UserError as error:
                log.warning("%s", error)
                known[key] = stamp
                if problems is not None:
                    problems.append(error)
                continue
            if isinstance(card, card_type) and card.id == key[1]:
                changed.append((card, stamp))
            elif problems is not None:
                problems.append(UserError("bad_input", f"'{path}' describes something else than its name says."))
        self.catalogue.put_all(changed)
        self.catalogue.forget(known)  # what is left has no file any more, or a damaged one
        return len(changed) + len(known)

    def _card_files(self) -> Iterator[tuple[type[AnyCard], Path, int]]:
        for card_type, pattern in _PATTERNS.items():
            for path in sorted(self.folder.glob(pattern)):
                if not path.name.endswith(".part"):
                    yield card_type, path, _stamp(path)


def is_workspace(folder: Path) -> bool:
    return (folder / _MARK).is_file()


def _id_of(path: Path) -> str:
    return path.stem if path.parent.name in ("versions", "holders") else path.parent.name


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns


def _checked(identifier: str) -> str:
    if not is_id(identifier):
        raise UserError("not_found", f"'{identifier}' is no name of anything here.")
    return identifier


def _make_or_check(folder: Path) -> None:
    mark = folder / _MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            if any(folder.iterdir()):
                message = f"'{folder}' is not empty and is no workspace."
                raise UserError("refused", message, "Choose an empty folder or one that does not exist yet.")
            write_bytes(mark, msgspec.json.encode(_Mark(_FORMAT)) + b"\n")
        written = msgspec.json.decode(mark.read_bytes(), type=_Mark)
    except msgspec.DecodeError as error:
        raise UserError("bad_input", f"'{mark}' is damaged.", "Restore it from another workspace.") from error
    except OSError as error:
        message = f"The workspace '{folder}' cannot be used: {error.strerror or error}."
        raise UserError("bad_input", message, "Choose another folder.") from error
    if written.format > _FORMAT:
        raise UserError("unsupported", f"The workspace '{folder}' is of a newer version.", "Update Splatwright.")
    if not os.access(folder, os.W_OK):
        raise UserError("bad_input", f"The workspace '{folder}' cannot be written to.", "Choose another folder.")
