"""The list of a capture folder's files: how it is made, which paths it may hold, and the id that names its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import UserError
from .things import ManifestFile

_BLOCK = 2**20
_MOST_CHARACTERS, _MOST_PARTS = 500, 16
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{digit}" for name in ("com", "lpt") for digit in range(1, 10))}
_FORBIDDEN = set('<>:"|?*\\')


def complaint_about(path: str) -> str | None:
    """Why a relative path may not stand in a manifest, else None. The same on every system."""
    if len(path) > _MOST_CHARACTERS or path.count("/") >= _MOST_PARTS:
        return f"the path '{path[:60]}...' is too long"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"'{path}' is no plain relative path"
        if any(character in _FORBIDDEN or not character.isprintable() for character in part):
            return f"{path!r} has a character that not every system allows"
        if part[-1] in ". " or part.partition(".")[0].lower() in _RESERVED:
            return f"'{path}' has a name that not every system allows"
    return None


def manifest_id(files: Iterable[ManifestFile]) -> str:
    """Names the content of a folder: the SHA-256 of its sorted list. Raises UserError when two paths collide."""
    ordered = sorted(files, key=lambda file: file.path)
    taken: set[str] = set()
    folders: set[str] = set()
    for file in ordered:
        folded = file.path.casefold()
        above = {folded[:place] for place, character in enumerate(folded) if character == "/"}
        if folded in taken or folded in folders or above & taken:
            raise UserError("bad_input", f"'{file.path}' collides with another path of the capture.", "Rename it.")
        taken.add(folded)
        folders |= above
    whole = hashlib.sha256()
    for file in ordered:
        whole.update(f"{file.sha256} {file.size} {file.path}\n".encode())
    return whole.hexdigest()


def hash_file(path: Path, read: Callable[[int], None] | None = None) -> tuple[int, str]:
    """Size and SHA-256. read: told the number of bytes as they are read."""
    size, whole = 0, hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            whole.update(block)
            size += len(block)
            if read is not None:
                read(len(block))
    return size, whole.hexdigest()


def list_capture(folder: Path, read: Callable[[int], None] | None = None) -> tuple[ManifestFile, ...]:
    """Every file below the folder that is not hidden. Raises UserError for names that cannot be sent."""
    if not folder.is_dir():
        raise UserError("not_found", f"'{folder}' is no folder.", "Choose the folder of a capture.")
    files: list[ManifestFile] = []
    for path in _files_below(folder):
        relative = path.relative_to(folder).as_posix()
        complaint = complaint_about(relative)
        if complaint:
            raise UserError("bad_input", f"The capture cannot be sent: {complaint}.", "Rename the file.")
        try:
            size, sha256 = hash_file(path, read)
        except OSError as error:
            raise UserError("bad_input", f"'{path}' cannot be read: {error.strerror or error}.") from error
        files.append(ManifestFile(path=relative, size=size, sha256=sha256))
    if not files:
        raise UserError("bad_input", f"'{folder}' holds no files.", "Choose the folder of a capture.")
    return tuple(sorted(files, key=lambda file: file.path))


def _files_below(folder: Path) -> Iterable[Path]:
    for parent, names, files in os.walk(folder, followlinks=False):
        names[:] = [name for name in names if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))
