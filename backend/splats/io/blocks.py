"""Work on the rows of large tables in blocks that fit into a processor's cache, on a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

ROWS = 4096
LONG = 16_384  # rows, where each step of the work takes only a few numbers of a row: fewer would not repay its call
_MOST_THREADS = 4


def for_each_block(count: int, work: Callable[[int, int], object], rows: int = ROWS) -> None:
    """Calls work(start, stop) for all rows; on several threads, in any order. Raises what the work raises first.

    It pays where the work is numpy's, which lets other threads run meanwhile.
    """
    starts = range(0, count, rows)
    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(starts))
    if threads < 2:
        for start in starts:
            work(start, min(start + rows, count))
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda start: work(start, min(start + rows, count)), starts):
            pass
