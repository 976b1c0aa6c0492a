"""A SHA-256 worked out beside the writing: hashing lets go of Python's lock, so it can have a core of its own."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_MOST_WAITING = 4  # pieces that are not hashed yet; each is as large as a chunk and stays in memory

_thread = ThreadPoolExecutor(1, thread_name_prefix="hashing")  # starts with the first piece


class HashBeside:
    """Takes pieces in their order; for one thread."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._waiting: deque[Future[None]] = deque()

    def update(self, piece: bytes | memoryview) -> None:
        """piece: it must not change before the digest is asked for."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(_thread.submit(self._hash.update, piece))

    def hexdigest(self) -> str:
        """Of all pieces so far."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.hexdigest()
