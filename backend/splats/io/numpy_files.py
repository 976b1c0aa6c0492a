"""Arrays by name, as numpy.savez writes them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared_protocol.errors import UserError


def read_npz(path: Path, names: Sequence[str], *, holds: str, hint: str) -> list[np.ndarray]:
    """The arrays of these names. holds: what the file is wanted for, and hint, are for the error.

    Raises UserError when the file is missing, is damaged, or has not all of them.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    # A file of one array is an array, which has no names and is no context.
    except (ValueError, KeyError, IndexError, TypeError, EOFError, OSError, MemoryError, zipfile.BadZipFile) as error:
        raise UserError("bad_input", f"'{path}' holds no {holds}.", hint) from error
