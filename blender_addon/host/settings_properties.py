"""One PropertyGroup a method, made from the catalog, so that settings are seen, saved with the .blend and undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bpy

from ..core import settings_values
from ..core.settings_values import PropertyPlan
from ..protocol import things


def make_group(method: things.MethodInfo) -> type[bpy.types.PropertyGroup]:
    """The class of a method's settings; not registered yet. Raises ValueError for settings that Blender cannot hold."""
    annotations = {plan.name: _property(plan) for plan in settings_values.property_plans(method.settings)}
    return type(f"SPLATWRIGHT_PG_{method.id}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def make_groups(catalog: Iterable[things.MethodInfo]) -> tuple[type[bpy.types.PropertyGroup], ...]:
    """The classes of all methods and, last, the one that holds them all: the order in which they are registered."""
    groups = {settings_values.property_name(method.id): make_group(method) for method in catalog}
    pointers: dict[str, Any] = {name: bpy.props.PointerProperty(type=group) for name, group in groups.items()}
    holder = type("SPLATWRIGHT_PG_methods", (bpy.types.PropertyGroup,), {"__annotations__": pointers})
    return (*groups.values(), holder)


def group_of(methods: Any, method: things.MethodInfo) -> bpy.types.PropertyGroup:
    """The settings of a method, in the group that holds them all."""
    return getattr(methods, settings_values.property_name(method.id))


def values(group: bpy.types.PropertyGroup, method: things.MethodInfo) -> dict[str, things.SettingValue]:
    """What the user chose; what stands at its default is left out."""
    return settings_values.changed_values(method.settings, lambda name: getattr(group, name))


def is_changed(group: bpy.types.PropertyGroup, method: things.MethodInfo) -> bool:
    return bool(values(group, method))


def reset(group: bpy.types.PropertyGroup, method: things.MethodInfo) -> None:
    """Every setting goes back to its default, also to one that a later version changes."""
    for plan in settings_values.property_plans(method.settings):
        group.property_unset(plan.name)


def assign(
    group: bpy.types.PropertyGroup, method: things.MethodInfo, chosen: Mapping[str, things.SettingValue]
) -> None:
    """Sets some of a method's settings, by name; None = let the backend choose."""
    for setting in method.settings:
        if setting.name not in chosen:
            continue
        for name, value in settings_values.stored(setting, chosen[setting.name]).items():
            setattr(group, name, value)


def _property(plan: PropertyPlan) -> Any:
    return _MAKERS[plan.kind](plan)


def _boolean(plan: PropertyPlan) -> Any:
    return bpy.props.BoolProperty(name=plan.label, description=plan.help, default=bool(plan.default), options=set())


def _integer(plan: PropertyPlan) -> Any:
    return bpy.props.IntProperty(
        name=plan.label,
        description=plan.help,
        default=int(plan.default),
        min=int(plan.minimum),
        max=int(plan.maximum),
        soft_min=int(plan.soft_minimum),
        soft_max=int(plan.soft_maximum),
        options=set(),
    )


def _number(plan: PropertyPlan) -> Any:
    return bpy.props.FloatProperty(
        name=plan.label,
        description=plan.help,
        default=float(plan.default),
        min=plan.minimum,
        max=plan.maximum,
        soft_min=plan.soft_minimum,
        soft_max=plan.soft_maximum,
        precision=plan.precision,
        options=set(),
    )


def _text(plan: PropertyPlan) -> Any:
    return bpy.props.StringProperty(name=plan.label, description=plan.help, default=str(plan.default), options=set())


def _choice(plan: PropertyPlan) -> Any:
    items = [(identifier, name, help, "NONE", number) for identifier, name, help, number in plan.items]
    return bpy.props.EnumProperty(
        name=plan.label, description=plan.help, items=items, default=str(plan.default), options=set()
    )


# A setting cannot be animated (options=set()): a job reads it once.
_MAKERS: dict[settings_values.PropertyKind, Callable[[PropertyPlan], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "text": _text,
    "choice": _choice,
}
