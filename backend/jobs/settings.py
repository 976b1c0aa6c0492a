"""Turns what a user typed into a method's settings, or into one sentence that says what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import msgspec

from backend.methods import registry
from backend.methods.registry import Method
from shared_protocol.errors import UserError
from shared_protocol.schema import Setting

_WORDS_FOR_NONE = ("none", "auto")


def chosen_settings(method: Method, given: Mapping[str, object]) -> msgspec.Struct:
    """The method's settings with those in `given` changed: text as a user types it, or values of the right kind.

    Raises UserError for a name the method does not have and for a value it does not take.
    """
    known = {setting.name: setting for setting in method.settings}
    values: dict[str, object] = {}
    for name, value in given.items():
        if name not in known:
            raise _unknown_name(method, name, list(known))
        values[name] = _value(method, known[name], value)
    return method.settings_type(**values)


def method_and_settings(category: str, identifier: str, given: Mapping[str, object]) -> tuple[Method, msgspec.Struct]:
    """A method of that category and its settings. Raises UserError for another, and as `chosen_settings`."""
    method = registry.find(identifier)
    if method.category != category:
        others = ", ".join(m.id for m in registry.all_methods() if m.category == category)
        message = f"The method '{identifier}' is one of {method.category} and not of {category}."
        raise UserError("bad_input", message, f"Methods of {category}: {others}.")
    return method, chosen_settings(method, given)


def allowed_values(setting: Setting) -> str:
    """What a setting may be, in a few words."""
    if setting.kind == "choice":
        return ", ".join(setting.choices)
    if setting.kind == "boolean":
        return "true or false"
    noun = {"integer": "whole number", "number": "number", "text": "text"}[setting.kind]
    low, high = (None if end is None else _number(end) for end in (setting.minimum, setting.maximum))
    if low is not None and high is not None:
        return f"{noun}, {low} to {high}"
    if low is not None:
        return f"{noun}, {low} or more"
    if high is not None:
        return f"{noun}, {high} or less"
    return noun


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _value(method: Method, setting: Setting, value: object) -> object:
    if setting.optional and isinstance(value, str) and value.lower() in _WORDS_FOR_NONE:
        return None
    # One field at a time: msgspec names the field in a path that means nothing to a user.
    field = next(f for f in msgspec.structs.fields(method.settings_type) if f.name == setting.name)
    try:
        return msgspec.convert(value, field.type, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        message = f"The setting '{setting.name}' of '{method.id}' cannot be '{value}'."
        raise UserError("bad_input", message, f"Allowed: {allowed_values(setting)}.") from error


def _unknown_name(method: Method, name: str, known: list[str]) -> UserError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(known)}."
    return UserError("bad_input", f"The method '{method.id}' has no setting '{name}'.", hint)
