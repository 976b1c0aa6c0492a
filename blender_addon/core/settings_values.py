"""Settings as Blender properties and back: which properties a setting needs, and what they say.

Blender knows no None, keeps numbers in 32 bits and has names of its own on every property group. This file knows
that, so that what the backend hears is exactly what its schema allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
import numpy as np

from ..protocol import schema, things
from .settings_enum import AUTOMATIC, EnumItem, chosen, enum_items

PropertyKind = Literal["boolean", "integer", "number", "text", "choice"]
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**31), 2**31 - 1
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_LONGEST_UNIT_IN_A_LABEL = 8
# What every property group has already, under these names.
_BLENDERS_OWN = frozenset({"bl_rna", "get", "id_data", "items", "keys", "name", "pop", "rna_type", "update", "values"})


class PropertyPlan(msgspec.Struct, frozen=True):
    """One Blender property. Numbers have limits: hard ones, and soft ones between which a slider moves."""

    name: str
    kind: PropertyKind
    label: str
    help: str
    default: bool | int | float | str
    minimum: float = 0.0
    maximum: float = 0.0
    soft_minimum: float = 0.0
    soft_maximum: float = 0.0
    precision: int = 3
    items: tuple[EnumItem, ...] = ()


def property_name(name: str) -> str:
    """The property that stands for a setting or method of this name."""
    return f"{name}_" if name in _BLENDERS_OWN else name


def automatic_name(setting: schema.Setting) -> str:
    """The toggle beside a setting that may be None; a choice has an item for that instead."""
    return f"{setting.name}_automatic"


def has_toggle(setting: schema.Setting) -> bool:
    return setting.optional and setting.kind != "choice"


def property_plans(settings: Iterable[schema.Setting]) -> tuple[PropertyPlan, ...]:
    """The properties of a method. Raises ValueError for settings that Blender cannot hold."""
    plans: dict[str, PropertyPlan] = {}
    for setting in settings:
        for plan in _plans_of(setting):
            if plan.name in plans:
                raise ValueError(f"'{setting.name}' needs a property '{plan.name}', and another setting has it")
            plans[plan.name] = plan
    return tuple(plans.values())


def read_values(settings: Iterable[schema.Setting], read: Callable[[str], object]) -> dict[str, things.SettingValue]:
    """What the properties say, by setting. read: the value of the property of a name."""
    return {setting.name: _value(setting, read) for setting in settings}


def changed_values(settings: Iterable[schema.Setting], read: Callable[[str], object]) -> dict[str, things.SettingValue]:
    """Only what differs from the defaults: that is all the backend needs to be told."""
    settings = tuple(settings)
    values = read_values(settings, read)
    return {setting.name: values[setting.name] for setting in settings if values[setting.name] != setting.default}


def stored(setting: schema.Setting, value: things.SettingValue) -> dict[str, bool | int | float | str]:
    """The properties, by name, that say this value."""
    name = property_name(setting.name)
    if has_toggle(setting):
        toggle: dict[str, bool | int | float | str] = {automatic_name(setting): value is None}
        return toggle if value is None else toggle | {name: value}
    return {name: AUTOMATIC if value is None else value}


def _plans_of(setting: schema.Setting) -> Iterable[PropertyPlan]:
    if has_toggle(setting):
        help = f"Let the backend choose. {setting.help}"
        yield PropertyPlan(automatic_name(setting), "boolean", "Automatic", help, setting.default is None)
    name, label, help = property_name(setting.name), _label(setting), _help(setting)
    match setting.kind:
        case "boolean":
            yield PropertyPlan(name, "boolean", label, help, bool(setting.default))
        case "text":
            yield PropertyPlan(name, "text", label, help, str(setting.default or ""))
        case "choice":
            default = AUTOMATIC if setting.default is None else str(setting.default)
            yield PropertyPlan(name, "choice", label, help, default, items=enum_items(setting))
        case "integer" | "number":
            yield _number_plan(setting, name, label, help)


def _number_plan(setting: schema.Setting, name: str, label: str, help: str) -> PropertyPlan:
    is_integer = setting.kind == "integer"
    lowest, highest = (_SMALLEST_INTEGER, _LARGEST_INTEGER) if is_integer else (-_LARGEST_NUMBER, _LARGEST_NUMBER)
    minimum = lowest if setting.minimum is None else max(lowest, setting.minimum)
    maximum = highest if setting.maximum is None else min(highest, setting.maximum)
    start = setting.default if isinstance(setting.default, int | float) else min(max(0, minimum), maximum)
    if not minimum <= start <= maximum:
        raise ValueError(f"the default of '{setting.name}' is {start}, and a property holds {minimum} to {maximum}")
    reach = 10 * abs(start) or 10
    kind = int if is_integer else float
    return PropertyPlan(
        name=name,
        kind=setting.kind,
        label=label,
        help=help,
        default=kind(start),
        minimum=kind(minimum),
        maximum=kind(maximum),
        # Without limits of its own a slider reaches from nothing to ten times the default; one can type beyond.
        soft_minimum=kind(minimum if setting.minimum is not None else max(minimum, min(0.0, start - reach))),
        soft_maximum=kind(maximum if setting.maximum is not None else min(maximum, start + reach)),
        precision=_precision(float(start)),
    )


def _precision(start: float) -> int:
    """Digits behind the point, so that three figures of the default are seen."""
    return 3 if start == 0 else min(6, max(1, 2 - math.floor(math.log10(abs(start)))))


def _label(setting: schema.Setting) -> str:
    is_short = setting.unit and len(setting.unit) <= _LONGEST_UNIT_IN_A_LABEL
    return f"{setting.label} ({setting.unit})" if is_short else setting.label


def _help(setting: schema.Setting) -> str:
    """Blender ends a tooltip with a full stop of its own."""
    help = setting.help.removesuffix(".")
    return f"{help} ({setting.unit})" if setting.unit else help


def _value(setting: schema.Setting, read: Callable[[str], object]) -> things.SettingValue:
    if has_toggle(setting) and read(automatic_name(setting)):
        return None
    stored = read(property_name(setting.name))
    match setting.kind:
        case "boolean":
            return bool(stored)
        case "integer":
            return int(str(stored))
        case "number":
            return _number(setting, float(str(stored)))
        case "text":
            return str(stored)
        case "choice":
            return chosen(setting, str(stored))


def _number(setting: schema.Setting, stored: float) -> float:
    """The number that the user meant: 1.6e-4 is kept as 1.5999999595806003e-4, which may lie outside the limits."""
    if isinstance(setting.default, int | float) and np.float32(setting.default) == np.float32(stored):
        return setting.default
    meant = float(str(np.float32(stored)))
    meant = meant if setting.minimum is None else max(setting.minimum, meant)
    return meant if setting.maximum is None else min(setting.maximum, meant)
