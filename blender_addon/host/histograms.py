# pyright: reportAttributeAccessIssue=false
"""How often values of an attribute occur in the splats of a version, as panels need it."""

from __future__ import annotations

from typing import Any

import bpy

from ..protocol import selecting
from . import wanted_answers

BINS = 96

is_fitting = False  # the range is being set to what occurs, and nothing is to be selected by that
_is_to_fit = False


def of(asset: str, version: str, attribute: str) -> selecting.Histogram | None:
    """None until the backend has said it, and where it does not know such values."""
    return _answers.of(asset, version, attribute)


def is_refused(asset: str, version: str, attribute: str) -> bool:
    """Whether the backend does not know such values of this version."""
    return _answers.is_refused(asset, version, attribute)


def forget(asset: str) -> None:
    """What was measured or labelled since is asked for again."""
    _answers.forget(asset)


def fit_soon(chosen: Any, asset: str, version: str) -> None:
    """Another attribute was chosen: the range becomes all that occurs, once that is known. Not in a draw."""
    global _is_to_fit
    _is_to_fit = True
    histogram = of(asset, version, chosen.attribute)
    if histogram is not None:
        _fit(chosen, histogram)


def _fit(chosen: Any, histogram: selecting.Histogram) -> None:
    """Sets the range to what occurs, if another attribute was chosen since."""
    global is_fitting, _is_to_fit
    if not _is_to_fit:
        return
    _is_to_fit, is_fitting = False, True
    try:
        chosen.low, chosen.high = histogram.low, histogram.high
    finally:
        is_fitting = False


def _question(asset: str, version: str, attribute: Any) -> selecting.FetchHistogram:
    return selecting.FetchHistogram(asset=asset, version=version, attribute=attribute, bins=BINS)


def _came(key: wanted_answers.Key, histogram: selecting.Histogram) -> None:
    chosen = bpy.context.scene.splatwright.select
    if chosen.attribute == key[2]:
        _fit(chosen, histogram)


_answers = wanted_answers.WantedAnswers(_question, selecting.Histogram, _came)


def register() -> None:
    _answers.register()


def unregister() -> None:
    _answers.unregister()
