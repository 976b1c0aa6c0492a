"""Works through a list with as many threads as decoding and matching can use here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_THREADS = 2
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, after_each: Callable[[], None] = lambda: None
) -> list[_Result]:
    """The results in the order of the items. `after_each` is called on this thread and may raise to stop the rest."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        futures = [pool.submit(work, item) for item in items]
        results = []
        for future in futures:
            results.append(future.result())
            after_each()
        return results
    finally:
        pool.shutdown(cancel_futures=True)


class Progress:
    """Counts steps of work that has several stages, and tells how many of all are done."""

    def __init__(self, total: int, tell: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._tell = 0, total, tell

    def step(self, steps: int = 1) -> None:
        self._done = min(self._done + steps, self._total)
        if self._tell is not None:
            self._tell(self._done, self._total)

    def finish(self) -> None:
        if self._done < self._total:
            self.step(self._total - self._done)
