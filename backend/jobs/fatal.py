"""Recognises failures after which a process can do nothing right any more."""

from __future__ import annotations

import torch


def fatal_reason(error: BaseException) -> str | None:
    """One sentence when the error broke the process for good, else None.

    A CUDA error other than full memory poisons the context: every later call fails, also those that save something.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return None
    text = str(error)
    poisoned = isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and "CUDA error:" in text)
    if not poisoned or "out of memory" in text:
        return None
    first_line = text.splitlines()[0] if text else type(error).__name__
    return f"The GPU stopped working ({first_line})."
