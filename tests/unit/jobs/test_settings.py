"""What a user types becomes settings, or one sentence."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from backend.jobs.settings import allowed_values, chosen_settings
from backend.methods.registry import Method
from shared_protocol.errors import UserError
from shared_protocol.schema import setting


class BlurSettings(msgspec.Struct, frozen=True, kw_only=True):
    radius: Annotated[float, setting("Radius", "Size.", minimum=0, maximum=9.5)] = 1.5
    passes: Annotated[int, setting("Passes", "How often.", minimum=1)] = 2
    seed: Annotated[int, setting("Seed", "Same seed, same result.", maximum=2**31 - 1)] = 0
    soft: Annotated[bool, setting("Soft", "Round edges.")] = False
    shape: Annotated[Literal["disc", "box"], setting("Shape", "Form.")] = "disc"
    limit: Annotated[int, setting("Limit", "At most so many.")] | None = None
    name: Annotated[str, setting("Name", "Any words.")] = ""


def run(config: BlurSettings, inputs: object, job: object) -> None:
    raise NotImplementedError


BLUR = Method("blur", "editing", "Blur", "Blurs.", BlurSettings, run)


def test_every_kind_of_value_is_read() -> None:
    given = {"radius": "2.5", "passes": "7", "soft": "true", "shape": "box", "limit": "12", "name": "a=b"}
    assert chosen_settings(BLUR, given) == BlurSettings(
        radius=2.5, passes=7, soft=True, shape="box", limit=12, name="a=b"
    )
    assert chosen_settings(BLUR, {}) == BlurSettings()
    assert chosen_settings(BLUR, {"limit": "auto"}) == BlurSettings()


@pytest.mark.parametrize(
    "name, text, allowed",
    [
        ("radius", "-1", "number, 0 to 9.5"),
        ("radius", "wide", "number, 0 to 9.5"),
        ("passes", "0", "whole number, 1 or more"),
        ("passes", "1.5", "whole number, 1 or more"),
        ("seed", "99999999999", "whole number, 2147483647 or less"),
        ("soft", "perhaps", "true or false"),
        ("shape", "star", "disc, box"),
        ("limit", "many", "whole number"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(name: str, text: str, allowed: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen_settings(BLUR, {name: text})
    assert f"'{name}'" in caught.value.message and f"'{text}'" in caught.value.message
    assert caught.value.hint == f"Allowed: {allowed}."


def test_an_unknown_name_gets_the_nearest_or_all() -> None:
    with pytest.raises(UserError, match="Did you mean 'radius'"):
        chosen_settings(BLUR, {"radios": "1"})
    with pytest.raises(UserError, match="It has: radius, passes, seed, soft, shape, limit, name"):
        chosen_settings(BLUR, {"zzz": "1"})


def test_allowed_values_of_every_kind_are_words() -> None:
    words = {s.name: allowed_values(s) for s in BLUR.settings}
    assert words["name"] == "text" and words["limit"] == "whole number" and words["soft"] == "true or false"
