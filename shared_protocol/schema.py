"""Settings as data: one typed struct validates the wire, draws the panel, makes the CLI and the docs.

A settings struct is a frozen `msgspec.Struct` whose every field is annotated with `setting(...)`:

    class BlurSettings(msgspec.Struct, frozen=True, kw_only=True):
        radius: Annotated[float, setting("Radius", "Size of the blur.", minimum=0, unit="px")] = 1.5

`describe` turns the struct into `Setting`s, which is what everything that shows, checks or documents settings reads.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

import msgspec

SettingKind = Literal["boolean", "integer", "number", "text", "choice"]


class Setting(msgspec.Struct, frozen=True):
    """One field of a settings struct, ready to be drawn as a widget or an option."""

    name: str
    kind: SettingKind
    label: str
    help: str
    default: bool | int | float | str | None
    optional: bool = False  # None is allowed and means "choose for me"
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    advanced: bool = False


def setting(
    label: str,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    advanced: bool = False,
) -> msgspec.Meta:
    """Describes one field; goes into `Annotated`. `minimum` and `maximum` are inclusive and enforced by msgspec."""
    return msgspec.Meta(
        title=label,
        description=help,
        ge=minimum,
        le=maximum,
        extra={"unit": unit, "advanced": advanced},
    )


def describe(settings_type: type[msgspec.Struct]) -> tuple[Setting, ...]:
    """The settings of a struct in the order they are declared.

    Raises TypeError for a field without `setting(...)`, without a default, or of a type that no widget can show.
    """
    hints = typing.get_type_hints(settings_type, include_extras=True)
    return tuple(
        _describe_field(settings_type, field, hints[field.name]) for field in msgspec.structs.fields(settings_type)
    )


def _describe_field(owner: type[msgspec.Struct], field: msgspec.structs.FieldInfo, hint: Any) -> Setting:
    where = f"{owner.__name__}.{field.name}"
    meta = _meta_of(hint)
    if meta is None or not meta.title or not meta.description:
        raise TypeError(f"{where} has no label or no help: annotate it with setting(...)")
    if field.default is msgspec.NODEFAULT:
        raise TypeError(f"{where} has no default")
    kind, optional, choices = _kind_of(where, hint)
    extra = meta.extra or {}
    return Setting(
        name=field.name,
        kind=kind,
        label=meta.title,
        help=meta.description,
        default=field.default,
        optional=optional,
        minimum=meta.ge,
        maximum=meta.le,
        unit=extra.get("unit", ""),
        choices=choices,
        advanced=extra.get("advanced", False),
    )


def _meta_of(hint: Any) -> msgspec.Meta | None:
    """The Meta of `Annotated[T, Meta]` or of `Annotated[T, Meta] | None`."""
    for part in (hint, *typing.get_args(hint)):
        for extra in getattr(part, "__metadata__", ()):
            if isinstance(extra, msgspec.Meta):
                return extra
    return None


def _kind_of(where: str, hint: Any) -> tuple[SettingKind, bool, tuple[str, ...]]:
    bare = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    members = (
        typing.get_args(bare)
        if isinstance(bare, types.UnionType) or typing.get_origin(bare) is typing.Union
        else (bare,)
    )
    optional = type(None) in members
    members = tuple(m for m in members if m is not type(None))
    if len(members) == 1:
        inner = typing.get_args(members[0])[0] if hasattr(members[0], "__metadata__") else members[0]
        if typing.get_origin(inner) is Literal:
            return "choice", optional, tuple(str(c) for c in typing.get_args(inner))
        kinds: dict[Any, SettingKind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
        if inner in kinds:
            return kinds[inner], optional, ()
    raise TypeError(f"{where} has a type that no widget can show: {bare}")
