"""Reads parts of ZIP archives and of folders, each part by its name, none larger than it may be."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from backend.splats.io.bounded import refuse_bomb, refuse_unsafe_name
from backend.splats.io.content import damaged

# What zipfile raises for archives that are broken, encrypted, or packed in a way it does not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError, OverflowError)


class Parts(Protocol):
    def read(self, name: str) -> bytes:
        """The bytes of a part. Raises UserError when there is none of this name, or it is broken."""
        ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        refuse_unsafe_name(self._path, name)
        try:
            return (self._path.parent / name).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            hint = "Keep the files together in one folder."
            raise damaged(self._path, f"the file '{name}' that it names is not beside it", hint) from error


class _Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive

    def read(self, name: str) -> bytes:
        try:
            about = self._archive.getinfo(name)
        except KeyError as error:
            raise damaged(self._path, f"it holds no '{name[:80]}'") from error
        refuse_bomb(self._path, about.compress_size, about.file_size)
        try:
            with self._archive.open(about) as stream:
                return stream.read(about.file_size)
        except _BROKEN as error:
            raise damaged(self._path, f"its '{name[:80]}' is broken") from error


def files_beside(path: Path) -> Parts:
    """The files in the folder of `path`."""
    return _Folder(path)


@contextmanager
def parts_of_archive(path: Path) -> Iterator[Parts]:
    """The parts of a ZIP archive. Raises UserError when it is none, or a part's name leads out of it."""
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise damaged(path, "it is no whole ZIP archive") from error
    with archive:
        for name in archive.namelist():
            refuse_unsafe_name(path, name)
        yield _Archive(path, archive)
