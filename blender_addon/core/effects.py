"""What is to be done in Blender, or asked of the backend, because the session changed."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..protocol import messages


class Redraw(msgspec.Struct, frozen=True):
    """What the panels or the viewport show has changed."""


class Ask(msgspec.Struct, frozen=True):
    """The answer comes back as an event."""

    message: messages.ListMethods | messages.ListJobs | messages.ListAssets


class ShowVersion(msgspec.Struct, frozen=True):
    """A job is over: objects of its asset show this version from now on, set once, with one undo push.

    selection, hidden: the splats that are selected and hidden in it; "" = none.
    apart: the asset that the job made of a part, which gets an object beside; "" = there is none.
    """

    asset: str
    version: str
    job: str
    label: str  # of the undo step
    selection: str = ""
    hidden: str = ""
    apart: str = ""


class AssetGone(msgspec.Struct, frozen=True):
    """Objects of this asset have nothing to show any more."""

    asset: str


class Tell(msgspec.Struct, frozen=True):
    """A line in Blender's status bar and in the log."""

    level: Literal["info", "warning", "error"]
    text: str


Effect = Redraw | Ask | ShowVersion | AssetGone | Tell
