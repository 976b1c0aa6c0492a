"""Parallel numba kernels that several Python threads may call at once.

numba's threading layer differs by machine, and its `workqueue` layer aborts the process when two threads enter a
parallel kernel together (a training step and a viewport render, say). One lock around all parallel kernels makes every
layer safe; kernels release the GIL, so everything else goes on meanwhile.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numba
import torch

_lock = threading.RLock()

# fastmath without "no NaNs, no infinities": a splat that went wrong must stay recognisable.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


def serial_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a loop that runs on one core, without the GIL, cached on disk."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def device_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a small function that kernels call and LLVM inlines."""
    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST_MATH, inline="never")(function)


def parallel_kernel(function: Callable[..., Any], *, chunk: int = 0) -> Callable[..., Any]:
    """Compiles a kernel whose `prange` runs on all cores, cached on disk, called under the one lock.

    chunk: how many iterations a core takes at a time; 0 deals them out evenly at the start.
    """
    compiled = numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=FAST_MATH)(function)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with _lock, numba.parallel_chunksize(chunk):
            return compiled(*arguments)

    call.compiled = compiled  # type: ignore[attr-defined]
    return call


def set_thread_count(threads: int) -> None:
    """One setting for numba and torch, so that they do not fight over the cores."""
    with _lock:
        numba.set_num_threads(max(1, min(threads, numba.config.NUMBA_NUM_THREADS)))  # type: ignore[attr-defined])
    torch.set_num_threads(max(1, threads))
