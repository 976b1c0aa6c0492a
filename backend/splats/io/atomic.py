"""Writes a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shared_protocol.errors import UserError


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends, and leaves `path` as it was when it raises.

    The bytes are on the disk before the name is: a crash or a power cut leaves the old file or the new one.
    Raises UserError when the folder cannot be written or the disk is full.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file():
        raise UserError("bad_input", f"'{path}' is not a file, so nothing can be written to it.", "Give a file name.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise explain_unwritten(error, path) from error
    finally:
        _remove(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces the file `path` by `content`, whole or not at all."""
    with atomic_file(path) as stream:
        stream.write(content)


def _remove(temporary: Path) -> None:
    # A folder that could not be made, or is not a folder, holds no temporary file either.
    if temporary.parent.is_dir():
        temporary.unlink(missing_ok=True)


def explain_unwritten(error: OSError, path: Path) -> UserError:
    """The error for what could not be written there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"The disk is full: '{path}' could not be written."
        return UserError("disk_full", message, "Free some space or choose another folder.")
    message = f"'{path}' could not be written: {error.strerror or error}."
    return UserError("bad_input", message, "Choose another file or folder to write to.")
