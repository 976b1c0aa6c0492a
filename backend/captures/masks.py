"""Decides what a capture's masks and alpha channels mean to training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

from backend.captures.capture import Capture, MaskUse, View
from backend.captures.image_files import decode, decode_mask, read_header
from shared_protocol.errors import UserError

_LOOKED_AT = 16  # photos or masks that are opened to decide
_Item = TypeVar("_Item")


def choose_mask_use(
    capture: Capture, choice: Literal["auto", "ignore", "segment", "alpha", "off"] = "auto"
) -> tuple[MaskUse, str]:
    """What masks and alpha are used for, and one sentence for the user that says so.

    Raises UserError for a choice that the capture has no masks or alpha for.
    """
    views = capture.views
    masked = [view for view in views if view.mask_path is not None]
    if choice == "off":
        return "off", "Masks and alpha are not used (--masks off)."
    if choice == "ignore":
        if not masked:
            raise _nothing_to_use(capture, "ignore", "no photo has a mask file")
        return "ignore", f"What lies outside the masks does not count ({len(masked)} of {len(views)} photos have one)."
    if choice == "alpha":
        if not any(read_header(view.image_path).has_alpha for view in views):
            raise _nothing_to_use(capture, "alpha", "no photo has an alpha channel")
        return "alpha", "The photos' alpha channel is their transparency."
    if choice == "segment":
        bare = [v for v in views if v.mask_path is None and not read_header(v.image_path).has_alpha]
        if bare:
            raise _nothing_to_use(capture, "segment", f"{len(bare)} of {len(views)} photos have no mask")
        return "segment", "What lies outside the masks is empty."
    return _automatic(views, masked)


def _automatic(views: Sequence[View], masked: Sequence[View]) -> tuple[MaskUse, str]:
    change = "change it with --masks ignore, segment, alpha or off"
    if any(_is_partly_transparent(view) for view in _spread(views)):
        return "alpha", f"The photos' alpha channel is used as transparency; {change}."
    if not masked:
        return "off", "There are no masks and no transparent photos."
    inside = float(np.mean([decode_mask(view.mask_path).mean() / 255 for view in _spread(masked) if view.mask_path]))
    share = f"the masks cover {inside:.0%} of the picture"
    if inside >= 0.5:
        return "ignore", f"As {share}, what lies outside them is ignored; {change}."
    if len(masked) < len(views):
        without = f"{len(views) - len(masked)} of {len(views)} photos have none"
        return "ignore", f"What lies outside the masks is ignored, because {without}; {change}."
    return "segment", f"As {share}, they show the object and the rest is empty; {change}."


def _is_partly_transparent(view: View) -> bool:
    """Screenshots have an alpha channel too, but it is opaque everywhere."""
    return read_header(view.image_path).has_alpha and bool(decode(view.image_path, upright=False)[..., 3].min() < 255)


def _spread(items: Sequence[_Item]) -> list[_Item]:
    """At most `_LOOKED_AT` of the items, evenly spread."""
    count = min(len(items), _LOOKED_AT)
    return [items[i * len(items) // count] for i in range(count)]


def _nothing_to_use(capture: Capture, choice: str, reason: str) -> UserError:
    return UserError(
        "bad_input",
        f"--masks {choice} cannot be used with {capture.folder}: {reason}.",
        "Use --masks auto, or put masks of the same names into a folder 'masks' beside the photos.",
    )
