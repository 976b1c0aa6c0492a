"""What the preferences show, and what becomes of what is chosen there."""

from __future__ import annotations

from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import bpy
import pytest
from extension_rooms import Extension, program

OPERATORS: Any = bpy.ops.splatwright


class Drawn:
    """The preferences with a layout that records: what Blender makes of them in its window."""

    def __init__(self, addon: Extension, layout: Any) -> None:
        self._addon, self.layout = addon, layout
        addon.preferences.SplatwrightPreferences.draw(self, bpy.context)

    def __getattr__(self, name: str) -> Any:
        function = vars(self._addon.preferences.SplatwrightPreferences).get(name)
        if isinstance(function, FunctionType):
            return MethodType(function, self)
        return getattr(self._addon.chosen, name)


def test_the_preferences_show_the_state_and_what_belongs_to_the_chosen_backend(
    addon: Extension, recording_layout: Any
) -> None:
    layout = Drawn(addon, recording_layout).layout
    assert "The backend is not installed yet." in layout.texts
    assert {"device", "workspace", "at_end", "wheel", "python"} <= set(layout.properties)
    assert set(layout.operators) == {"splatwright.backend_install"}


@pytest.mark.parametrize(
    ("mode", "shown"), [("running", {"mode", "connection_file"}), ("remote", {"mode", "address", "key_file"})]
)
def test_other_backends_need_no_environment(
    addon: Extension, recording_layout: Any, mode: str, shown: set[str]
) -> None:
    addon.chosen.mode = mode
    layout = Drawn(addon, recording_layout).layout
    assert shown <= set(layout.properties) and not {"wheel", "python", "device"} & set(layout.properties)
    assert set(layout.operators) == {"splatwright.backend_connect"}


def test_a_failure_is_shown_with_the_last_lines_of_the_log(
    addon: Extension, recording_layout: Any, tmp_path: Path
) -> None:
    addon.chosen.command = program(tmp_path / "splatwright", "print('Loading.'); print('No GPU.'); raise SystemExit(1)")
    with pytest.raises(RuntimeError):
        OPERATORS.backend_start()
    layout = Drawn(addon, recording_layout).layout
    assert layout.texts.count("No GPU.") == 2 and "Loading." in layout.texts
    assert {"splatwright.backend_start", "splatwright.show_log"} <= set(layout.operators)


def test_how_far_an_installation_is_is_shown(addon: Extension, recording_layout: Any) -> None:
    addon.current.dispatch(addon.states.InstallWent("Downloading torch.", 0.4))
    layout = Drawn(addon, recording_layout).layout
    assert "Downloading torch." in layout.texts and layout.called("progress")[0].arguments["factor"] == 0.4
    addon.current.dispatch(addon.states.InstallEnded("missing"))


@pytest.mark.parametrize("mode", ["local", "running", "remote"])
def test_preferences_become_plain_settings(addon: Extension, mode: str, tmp_path: Path) -> None:
    addon.chosen.mode = mode
    addon.chosen.key_file = str(tmp_path / "laptop.key")
    addon.chosen.wheel = "https://a.example/splatwright.whl"
    settings = addon.preferences.settings()
    assert settings.mode == mode == addon.session.life.mode  # the session hears of it at once
    assert settings.key_file == str(tmp_path / "laptop.key") and settings.wheel == "https://a.example/splatwright.whl"
    assert settings.command == "" and settings.at_end == "finish"
