"""What is known about a format of splat files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.splats.io.content import SplatContent
from backend.splats.io.frames import Frame

HEAD_BYTES = 4096  # of a file's start that a format is told by


class Read(Protocol):
    """Reads a file as it is; `formats.read_splats` cleans the result. Raises UserError naming file and reason."""

    def __call__(self, path: Path, /) -> SplatContent: ...


class Write(Protocol):
    """Writes a file whole or not at all. `content` is in the format's frame unless the user chose another one."""

    def __call__(self, path: Path, content: SplatContent, /) -> None: ...


@dataclass(frozen=True)
class Format:
    """name: short, for command lines and messages. label: for people.

    suffixes: of file names, with their dots, the usual one first; the longest that fits decides.
    frame: what a file without a word about it is assumed to be in, and what is written unless the user asks otherwise.
    sh_degree: the highest that a file can hold.
    recognises: whether a file is of this format, by its first HEAD_BYTES bytes; the path is for formats without a mark.
    keeps_frame: a file says which frame it is in, so that others can be written and read back.
    prescribes_frame: files of this format are in `frame`, or they are wrong.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    frame: Frame
    sh_degree: int
    recognises: Callable[[bytes, Path], bool]
    read: Read | None = None
    write: Write | None = None
    keeps_frame: bool = False
    prescribes_frame: bool = False

    @property
    def can_read(self) -> bool:
        return self.read is not None

    @property
    def can_write(self) -> bool:
        return self.write is not None
