from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest

from backend.methods import registry
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.errors import UserError
from shared_protocol.schema import setting


class Good(msgspec.Struct, frozen=True):
    radius: Annotated[float, setting("Radius", "How far.", minimum=0)] = 1.0


class NotFrozen(msgspec.Struct):
    radius: Annotated[float, setting("Radius", "How far.", minimum=0)] = 1.0


class NoLabel(msgspec.Struct, frozen=True):
    radius: float = 1.0


class NoDefault(msgspec.Struct, frozen=True):
    radius: Annotated[float, setting("Radius", "How far.")]


class NoWidget(msgspec.Struct, frozen=True):
    radii: Annotated[tuple[float, ...], setting("Radii", "How far.")] = ()


class OutOfRange(msgspec.Struct, frozen=True):
    radius: Annotated[float, setting("Radius", "How far.", minimum=2)] = 1.0


class RangeWithoutNumber(msgspec.Struct, frozen=True):
    radius: Annotated[float | None, setting("Radius", "How far.", minimum=2)] = None


def method_with(settings: type) -> Callable[..., Any]:
    def run(config: Any, inputs: Any, job: Job) -> None: ...

    run.__annotations__["config"] = settings
    run.__module__ = f"backend.methods.editing.{settings.__name__.lower()}"
    return run


@pytest.fixture(autouse=True)
def unregistered_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.all_methods()
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))


def test_a_method_is_called_like_its_file_and_sorted_by_its_folder() -> None:
    method(label="Good", help="Does good.")(method_with(Good))
    found = registry.find("good")
    assert (found.category, found.label, found.settings_type) == ("editing", "Good", Good)
    assert [s.name for s in found.settings] == ["radius"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (NotFrozen, "frozen"),
        (NoLabel, "radius has no label"),
        (NoDefault, "radius has no default"),
        (NoWidget, "no widget"),
        (OutOfRange, "radius"),
        (RangeWithoutNumber, "numeric type"),
        (dict, "annotate `config`"),
    ],
)
def test_what_is_not_fully_described_is_refused(settings: type, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        method(label="Bad", help="Does not.")(method_with(settings))
    assert settings.__name__.lower() not in registry._methods


def test_other_parameters_are_refused() -> None:
    def run(config: Good, inputs: Any) -> None: ...

    run.__module__ = "backend.methods.editing.lonely"
    with pytest.raises(TypeError, match="must take"):
        method(label="Lonely", help="No job.")(run)


def test_what_means_nothing_to_a_method_is_not_among_its_settings() -> None:
    class Two(Good, frozen=True):
        share: Annotated[float, setting("Share", "How much.")] = 0.5

    method(label="Two", help="Takes one.", without=("radius",))(method_with(Two))
    assert [s.name for s in registry.find("two").settings] == ["share"]
    with pytest.raises(TypeError, match="no field angle to be without"):
        method(label="Good", help="Does good.", without=("angle",))(method_with(Good))


def test_a_name_is_given_once() -> None:
    method(label="Good", help="Does good.")(method_with(Good))
    with pytest.raises(TypeError, match="two methods are called good"):
        method(label="Good", help="Does good.")(method_with(Good))


def test_an_unknown_method_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no method called 'mcmmc'.*default, gs_mesh, mcmc"):
        registry.find("mcmmc")
