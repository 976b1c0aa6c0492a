"""The named selections of versions, as panels need them."""

from __future__ import annotations

from ..protocol import selecting
from . import wanted_answers


def _question(asset: str, version: str) -> selecting.ListSelections:
    return selecting.ListSelections(asset=asset, version=version)


_answers = wanted_answers.WantedAnswers(_question, selecting.NamedSelections)


def of(asset: str, version: str) -> selecting.NamedSelections | None:
    """None until the backend has said them."""
    return _answers.of(asset, version)


def learn(named: selecting.NamedSelections) -> None:
    """An answer that came with something else."""
    _answers.learn((named.asset, named.version), named)


def register() -> None:
    _answers.register()


def unregister() -> None:
    _answers.unregister()
