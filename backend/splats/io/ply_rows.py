"""The rows of a PLY file's vertices, a block at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from backend.splats.io.content import damaged
from shared_protocol.errors import UserError


class Block:
    """Some rows as they stand in the file."""

    def __init__(self, rows: np.ndarray) -> None:
        """rows: structured, [n]."""
        self._rows = rows
        dtype = rows.dtype
        assert dtype.fields is not None
        self._place = {name: index for index, name in enumerate(dtype.fields)}
        is_floats = all(field[0] == np.dtype("<f4") for field in dtype.fields.values())
        self._floats = rows.view("<f4").reshape(len(rows), -1) if is_floats else None

    def take(self, names: Sequence[str], out: np.ndarray) -> None:
        """Puts the named columns side by side into float32 [n, len(names)]."""
        if self._floats is not None:
            # A gather over whole rows is faster than column after column. "clip" spares numpy a buffer for `out`.
            np.take(self._floats, [self._place[name] for name in names], axis=1, out=out, mode="clip")
            return
        for index, name in enumerate(names):
            out[:, index] = self._rows[name]

    def column(self, name: str) -> np.ndarray:
        return self._rows[name]


class Rows(Protocol):
    @property
    def dtype(self) -> np.dtype: ...
    def __len__(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def block(self, start: int, stop: int) -> Block: ...


class BinaryRows:
    """Rows of one length, read from their place in the file; several threads may read at once."""

    def __init__(self, path: Path, offset: int, count: int, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._path, self._offset, self._count = path, offset, count

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        self._stream = self._path.open("rb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def block(self, start: int, stop: int) -> Block:
        rows = np.empty(stop - start, self.dtype)
        place = self._offset + start * self.dtype.itemsize
        if os.preadv(self._stream.fileno(), [rows.view(np.uint8).data], place) != rows.nbytes:
            raise damaged(self._path, "it ends before its last row")
        return Block(rows)


class ParsedRows:
    """Rows that follow rows of varying length, or are written as text: the whole file is read first, by plyfile."""

    def __init__(self, path: Path) -> None:
        import plyfile

        try:
            data = plyfile.PlyData.read(str(path), mmap="r")
        except plyfile.PlyElementParseError as error:
            raise damaged(
                path, str(error).rstrip("."), "It was cut short or changed on the way; copy it again."
            ) from error
        except (plyfile.PlyParseError, ValueError, OverflowError, TypeError) as error:
            message = f"'{path}' is not a valid PLY file: {str(error).rstrip('.')}."
            raise UserError("bad_input", message, "Copy or export it again.") from error
        self._rows = data["vertex"].data
        self.dtype = self._rows.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def block(self, start: int, stop: int) -> Block:
        return Block(self._rows[start:stop])
