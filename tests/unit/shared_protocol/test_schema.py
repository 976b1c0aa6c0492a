from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from shared_protocol.schema import Setting, describe, setting


class Blur(msgspec.Struct, frozen=True, kw_only=True):
    radius: Annotated[float, setting("Radius", "Size of the blur.", minimum=0, maximum=9, unit="px")] = 1.5
    passes: Annotated[int, setting("Passes", "How often.", advanced=True)] = 2
    quick: Annotated[bool, setting("Quick", "Less exact.")] = False
    name: Annotated[str, setting("Name", "What it is called.")] = "soft"
    edge: Annotated[Literal["clamp", "wrap"], setting("Edge", "What lies outside.")] = "clamp"
    seed: Annotated[int, setting("Seed", "Empty: by chance.", minimum=0)] | None = None
    mode: Annotated[Literal["a", "b"] | None, setting("Mode", "Empty: by size.")] = None


def test_a_struct_becomes_one_setting_a_field() -> None:
    assert describe(Blur) == (
        Setting("radius", "number", "Radius", "Size of the blur.", 1.5, minimum=0, maximum=9, unit="px"),
        Setting("passes", "integer", "Passes", "How often.", 2, advanced=True),
        Setting("quick", "boolean", "Quick", "Less exact.", False),
        Setting("name", "text", "Name", "What it is called.", "soft"),
        Setting("edge", "choice", "Edge", "What lies outside.", "clamp", choices=("clamp", "wrap")),
        Setting("seed", "integer", "Seed", "Empty: by chance.", None, optional=True, minimum=0),
        Setting("mode", "choice", "Mode", "Empty: by size.", None, optional=True, choices=("a", "b")),
    )


@pytest.mark.parametrize("wrong", [{"radius": -1}, {"radius": 10}, {"edge": "mirror"}, {"passes": "x"}, {"seed": -1}])
def test_the_description_that_draws_the_panel_also_guards_the_wire(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(wrong), type=Blur)


def test_settings_survive_the_wire() -> None:
    changed = Blur(radius=0, edge="wrap", seed=3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(changed), type=Blur) == changed


class _NoLabel(msgspec.Struct, frozen=True):
    size: float = 1.0


class _NoHelp(msgspec.Struct, frozen=True):
    size: Annotated[float, msgspec.Meta(title="Size")] = 1.0


class _NoDefault(msgspec.Struct, frozen=True):
    size: Annotated[float, setting("Size", "How large.")]


class _NoWidget(msgspec.Struct, frozen=True):
    sizes: Annotated[tuple[float, ...], setting("Sizes", "How large.")] = ()


class _TwoTypes(msgspec.Struct, frozen=True):
    size: Annotated[int | str, setting("Size", "How large.")] = 1


@pytest.mark.parametrize(
    ("settings_type", "reason"),
    [
        (_NoLabel, "no label"),
        (_NoHelp, "no help"),
        (_NoDefault, "no default"),
        (_NoWidget, "no widget"),
        (_TwoTypes, "no widget"),
    ],
)
def test_a_field_that_nobody_could_show_is_refused(settings_type: type[msgspec.Struct], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        describe(settings_type)
