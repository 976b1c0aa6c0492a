"""The index over all cards: an SQLite file that may be lost at any time, because the cards are still there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from backend.store.cards import AnyCard, Card, CardType, decode, encode
from backend.store.local_disk import is_local
from shared_protocol.errors import UserError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS card (
    kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, created REAL NOT NULL, content BLOB NOT NULL,
    stamp INTEGER NOT NULL,  -- of the card's file, in nanoseconds
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS card_by_owner ON card (kind, owner, created);
"""
_SCHEMA_VERSION = 1
_Result = TypeVar("_Result")


class Catalogue:
    """Everything happens on one thread of its own, so that SQLite has one writer; calls may come from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        try:
            self._connection = self._thread.submit(self._open).result()
        except sqlite3.OperationalError as error:
            raise _explain(error, path) from error

    def close(self) -> None:
        self._do(lambda connection: connection.close())
        self._thread.shutdown()

    def put(self, card: AnyCard, stamp: int) -> None:
        self.put_all([(card, stamp)])

    def put_all(self, cards: Iterable[tuple[AnyCard, int]]) -> None:
        """All of them or none. stamp: of the card's file."""
        rows = [(_kind(type(card)), card.id, card.owner, card.created, encode(card), stamp) for card, stamp in cards]

        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?, ?, ?)", rows)

        self._do(work)

    def remove(self, card_type: type[Card], identifier: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("DELETE FROM card WHERE kind = ? AND id = ?", (_kind(card_type), identifier))

        self._do(work)

    def find(self, card_type: type[CardType], identifier: str) -> CardType | None:
        query = "SELECT content FROM card WHERE kind = ? AND id = ?"
        return next(self._select(card_type, query, identifier), None)

    def all(self, card_type: type[CardType], owner: str | None = None) -> list[CardType]:
        """Oldest first. owner: only what belongs to it."""
        if owner is None:
            query = "SELECT content FROM card WHERE kind = ? ORDER BY created, id"
            return list(self._select(card_type, query))
        query = "SELECT content FROM card WHERE kind = ? AND owner = ? ORDER BY created, id"
        return list(self._select(card_type, query, owner))

    def stamps(self) -> dict[tuple[str, str], int]:
        """The stamp of every card that is known, by kind and id."""
        query = "SELECT kind, id, stamp FROM card"
        return {(kind, identifier): stamp for kind, identifier, stamp in self._rows(query, ())}

    def forget(self, keys: Iterable[tuple[str, str]]) -> None:
        rows = list(keys)

        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("DELETE FROM card WHERE kind = ? AND id = ?", rows)

        self._do(work)

    def journal_mode(self) -> str:
        return self._rows("PRAGMA journal_mode", ())[0][0]

    def _select(self, card_type: type[CardType], query: str, *parameters: str) -> Iterator[CardType]:
        for (content,) in self._rows(query, (_kind(card_type), *parameters)):
            card = decode(content)
            assert isinstance(card, card_type)
            yield card

    def _rows(self, query: str, parameters: tuple[str, ...]) -> list[Any]:
        return self._do(lambda connection: connection.execute(query, parameters).fetchall())

    def _do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return self._thread.submit(lambda: work(self._connection)).result()
        except sqlite3.OperationalError as error:
            raise _explain(error, self._path) from error

    def _open(self) -> sqlite3.Connection:
        """Opens the file; one that is damaged or of another version is made anew."""
        try:
            return self._open_as_it_is()
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._open_as_it_is()

    def _open_as_it_is(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        try:
            connection.execute(f"PRAGMA journal_mode = {'WAL' if is_local(self._path.parent) else 'DELETE'}")
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA_VERSION):
                raise sqlite3.DatabaseError("another version")
            if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection


def _kind(card_type: type[Card]) -> str:
    return str(card_type.__struct_config__.tag)


def _explain(error: sqlite3.OperationalError, path: Path) -> UserError:
    if "full" in str(error):
        message = f"The disk is full: '{path}' could not be written."
        return UserError("disk_full", message, "Free some space or choose another workspace.")
    return UserError("bad_input", f"'{path}' could not be used: {error}.", "Choose another workspace.")
