"""Presets of the methods that make meshes: the few settings of each by which quality is paid for with time and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..protocol import schema, things

QUALITIES: tuple[things.Quality, ...] = ("draft", "normal", "high")
_SETTINGS: dict[things.Quality, dict[str, int]] = {  # "normal" is the methods' own defaults of these
    "draft": {"views": 24, "faces": 10_000, "texture": 1024},
    "high": {"views": 96, "faces": 200_000, "texture": 4096},
}
_NAMES = frozenset(_SETTINGS["high"])


def has_presets(settings: Iterable[schema.Setting]) -> bool:
    return any(setting.name in _NAMES for setting in settings)


def preset(settings: Iterable[schema.Setting], quality: things.Quality) -> dict[str, things.SettingValue]:
    """What a quality says of a method's settings, within their limits; of those that it does not name, nothing."""
    return {
        setting.name: _within(setting, _SETTINGS[quality][setting.name]) if quality in _SETTINGS else setting.default
        for setting in settings
        if setting.name in _NAMES
    }


def quality_of(settings: Iterable[schema.Setting], changed: Mapping[str, things.SettingValue]) -> things.Quality | None:
    """The quality whose preset these values are; None = the user has chosen something else.

    changed: by name, what differs from the defaults.
    """
    settings = tuple(settings)
    values = {setting.name: changed.get(setting.name, setting.default) for setting in settings}
    for quality in QUALITIES:
        if all(values[name] == value for name, value in preset(settings, quality).items()):
            return quality
    return None


def _within(setting: schema.Setting, value: int) -> int:
    if setting.minimum is not None:
        value = max(value, int(setting.minimum))
    return value if setting.maximum is None else min(value, int(setting.maximum))
