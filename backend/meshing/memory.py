"""Work that would not fit into the memory is refused before it begins."""

from __future__ import annotations

from backend import machine
from shared_protocol.errors import UserError


def refuse_too_large(what: str, needed: float, hint: str) -> None:
    """Raises UserError when fewer than `needed` bytes are free; machines that do not say how many are refuse nothing.

    what: that needs them, to begin a sentence with. hint: the setting to lower.
    """
    _, free = machine.memory()
    if free is not None and needed > free:
        message = f"{what} needs {needed / 2**30:.1f} GB and {free / 2**30:.1f} GB are free."
        raise UserError("out_of_memory", message, hint)
