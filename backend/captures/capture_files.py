"""Finds the files that a capture names, and refuses those that lie outside its folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from backend.captures.image_files import IMAGE_SUFFIXES
from shared_protocol.errors import UserError

# Folders of image sets whose views have the same file names; "masks/r_0.png" would belong to all of them.
_SPLIT_FOLDERS = ("train", "test", "val")


class CaptureFiles:
    """Looks files up by the names that capture files use; remembers folder listings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = folder.resolve()
        self._listings: dict[Path, dict[str, str]] = {}

    def find(self, written: str, *, source: Path) -> Path | None:
        """The file that `source` calls `written`, or None where there is none.

        The suffix may be missing and letters may differ in case.
        Raises UserError for a path that is absolute or leads out of the capture's folder.
        """
        relative = self._inside(written, source)
        path = self.folder / relative
        listing = self._listing(path.parent)
        name = path.name.lower()
        candidates = [name] if name.endswith(IMAGE_SUFFIXES) else [name, *(name + s for s in IMAGE_SUFFIXES)]
        found = path.name if path.is_file() else next((listing[c] for c in candidates if c in listing), None)
        if found is None:
            return None
        self._refuse_outside(path.parent / found, written, source)
        return path.parent / found

    def name_of(self, path: Path) -> str:
        """Path below the capture's folder, with "/"."""
        return path.relative_to(self.folder).as_posix()

    def images_below(self, name: str) -> list[Path]:
        """Every image file in the folder called `name`, in file-name order."""
        below = self.folder / name
        return sorted(below / file for file in self._listing(below).values() if file.lower().endswith(IMAGE_SUFFIXES))

    def mask_of(self, image_path: Path) -> Path | None:
        """The file of the same stem in a folder `masks` beside one of the folders that the image is in."""
        parts = PurePosixPath(self.name_of(image_path)).parts
        places = [("masks", *parts)]
        places += [
            (*parts[:i], "masks", *parts[i + 1 :]) for i in range(len(parts) - 1) if parts[i] not in _SPLIT_FOLDERS
        ]
        for place in places:
            parent = self.folder.joinpath(*place[:-1])
            listing = self._listing(parent)
            image_name = place[-1].lower()
            for stem in (PurePosixPath(image_name).stem, image_name):  # COLMAP writes the mask of a.jpg as a.jpg.png
                found = next((listing[stem + s] for s in IMAGE_SUFFIXES if stem + s in listing), None)
                if found is not None and parent / found != image_path:
                    self._refuse_outside(parent / found, str(PurePosixPath(*place[:-1], found)), self.folder)
                    return parent / found
        return None

    def _inside(self, written: str, source: Path) -> Path:
        plain = written.replace("\\", "/")
        if not plain or "\0" in plain or plain.startswith("/") or PureWindowsPath(written).is_absolute():
            raise UserError(
                "bad_input",
                f"{source} names the absolute path '{written}'.",
                "Write paths relative to the capture's folder.",
            )
        relative = os.path.normpath(plain)
        if relative == "." or Path(relative).parts[0] == "..":
            raise _leads_out(written, source)
        return Path(relative)

    def _refuse_outside(self, path: Path, written: str, source: Path) -> None:
        if not path.resolve().is_relative_to(self._root):
            raise _leads_out(written, source)

    def _listing(self, folder: Path) -> dict[str, str]:
        """Lower-case file name -> file name."""
        if folder not in self._listings:
            names = sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else []
            self._listings[folder] = {name.lower(): name for name in names}
        return self._listings[folder]


def _leads_out(written: str, source: Path) -> UserError:
    return UserError(
        "refused",
        f"{source} names '{written}', which lies outside the capture's folder.",
        "Copy the file into the capture's folder.",
    )
