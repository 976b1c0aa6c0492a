from __future__ import annotations

import numpy as np
import pytest

from blender_addon.core.settings_enum import AUTOMATIC
from blender_addon.core.settings_values import changed_values, property_plans, read_values, stored
from shared_protocol.schema import Setting

RATE = Setting("rate", "number", "Rate", "How fast.", 1.6e-4, minimum=1.6e-4)
SEED = Setting("seed", "integer", "Seed", "Where chance begins.", 0, minimum=0)
EVERY = Setting("every", "integer", "Every", "How often.", None, optional=True, minimum=1, unit="steps")
START = Setting("start", "choice", "Start", "From where.", None, optional=True, choices=("points", "random"))
FAST = Setting("fast", "boolean", "Fast", "Hurry.", None, optional=True)
BACKGROUND = Setting("background", "text", "Background", "A colour.", "auto")
ALL = (RATE, SEED, EVERY, START, FAST, BACKGROUND)


class Blender:
    """Keeps properties as Blender does: numbers in 32 bits, within their limits."""

    def __init__(self, *settings: Setting) -> None:
        self.plans = {plan.name: plan for plan in property_plans(settings)}
        self.stored: dict[str, object] = {}
        for plan in self.plans.values():
            self.set(plan.name, plan.default)

    def set(self, name: str, value: object) -> None:
        plan = self.plans[name]
        if plan.kind == "number":
            assert isinstance(value, float)
            value = float(np.clip(np.float32(value), np.float32(plan.minimum), np.float32(plan.maximum)))
        self.stored[name] = value

    def read(self, name: str) -> object:
        return self.stored[name]


def test_untouched_properties_say_the_defaults() -> None:
    blender = Blender(*ALL)
    assert read_values(ALL, blender.read) == {setting.name: setting.default for setting in ALL}
    assert changed_values(ALL, blender.read) == {}


def test_what_the_user_changed_is_said_and_nothing_else() -> None:
    blender = Blender(*ALL)
    for name, value in {"seed": 7, "start": "random", "fast_automatic": False, "fast": True}.items():
        blender.set(name, value)
    assert changed_values(ALL, blender.read) == {"seed": 7, "start": "random", "fast": True}


@pytest.mark.parametrize("typed", [2.5e-3, 1 / 3, 0.1, 123456.0, 5e5])
def test_a_number_comes_back_as_it_was_typed_and_not_as_32_bits_keep_it(typed: float) -> None:
    blender = Blender(RATE)
    blender.set("rate", typed)
    assert read_values((RATE,), blender.read)["rate"] == pytest.approx(typed, rel=1e-7)
    blender.set("rate", 2.5e-3)
    assert read_values((RATE,), blender.read)["rate"] == 2.5e-3


def test_the_lowest_number_is_allowed_although_32_bits_keep_a_lower_one() -> None:
    limited = Setting("near", "number", "Near", "How near.", 1.0, minimum=1e-4, maximum=0.7 + 0.5)
    blender = Blender(limited)
    blender.set("near", 0.0)
    assert float(str(blender.read("near"))) < 1e-4
    assert read_values((limited,), blender.read)["near"] == 1e-4
    blender.set("near", 9.0)
    assert read_values((limited,), blender.read)["near"] == limited.maximum


def test_automatic_is_a_toggle_or_an_item() -> None:
    every, start = (property_plans((setting,)) for setting in (EVERY, START))
    assert [(plan.name, plan.kind, plan.default) for plan in every] == [
        ("every_automatic", "boolean", True),
        ("every", "integer", 1),
    ]
    assert [(plan.kind, plan.default, plan.items[0][0]) for plan in start] == [("choice", AUTOMATIC, AUTOMATIC)]


def test_limits_are_hard_where_the_schema_has_them_and_soft_elsewhere() -> None:
    (plan,) = property_plans((RATE,))
    assert plan.minimum == plan.soft_minimum == 1.6e-4
    assert plan.soft_maximum == pytest.approx(11 * 1.6e-4) and plan.maximum > 1e30


def test_a_unit_is_seen_in_the_label_when_it_is_short_and_in_the_tooltip_always() -> None:
    (_, short) = property_plans((EVERY,))
    (long,) = property_plans((Setting("until", "number", "Until", "When.", 0.5, unit="of the steps"),))
    assert (short.label, short.help) == ("Every (steps)", "How often (steps)")
    assert (long.label, long.help) == ("Until", "When (of the steps)")


def test_a_setting_that_blender_uses_the_name_of_gets_another_property() -> None:
    named = Setting("name", "text", "Name", "Of it.", "x")
    blender = Blender(named)
    assert list(blender.plans) == ["name_"]
    assert read_values((named,), blender.read) == {"name": "x"}


def test_settings_that_cannot_be_told_apart_or_held_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'every_automatic'"):
        property_plans((Setting("every_automatic", "boolean", "A", "B", False), EVERY))
    with pytest.raises(ValueError, match="the default of 'big' is 5000000000"):
        property_plans((Setting("big", "integer", "Big", "Too big.", 5_000_000_000),))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (RATE, 0.25),
        (EVERY, 12),
        (EVERY, None),
        (START, "random"),
        (START, None),
        (FAST, False),
        (FAST, None),
        (BACKGROUND, "white"),
    ],
)
def test_a_value_that_is_stored_is_the_one_that_is_read(setting: Setting, value: bool | float | str | None) -> None:
    blender = Blender(*ALL)
    for name, property_value in stored(setting, value).items():
        blender.set(name, property_value)
    assert read_values(ALL, blender.read)[setting.name] == value
    others = changed_values([other for other in ALL if other is not setting], blender.read)
    assert others == {}
