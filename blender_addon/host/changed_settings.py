"""Settings of Blender that are others for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Setting = tuple[Any, str, Any]  # owner, name, value


@contextmanager
def changed(settings: list[Setting]) -> Iterator[None]:
    """The settings in the block, and what they were before after it, whatever happens."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in settings]
    with ExitStack() as stack:
        # Back in the order in which they were set: a file format exists only within its medium, a look in its view.
        for owner, name, value in reversed(before):
            stack.callback(setattr, owner, name, value)
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
