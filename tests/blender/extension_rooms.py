"""The rooms of the installed extension that these tests look into, and programs that stand for a backend."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy


class Extension:
    def __init__(self, room: Callable[[str], ModuleType]) -> None:
        self.current = room("host.current")
        self.life_of = room("host.backend_life")
        self.environment = room("host.backend_environment")
        self.states = room("core.backend_state")
        self.preferences = room("host.preferences")
        self.tick = room("tick")
        self.errors = room("protocol").errors
        self.events = room("core.events")
        self.targets = room("link.targets")

    @property
    def session(self) -> Any:
        return self.current.session()

    @property
    def state(self) -> str:
        return self.session.life.state

    @property
    def chosen(self) -> Any:
        return bpy.context.preferences.addons[self.preferences.ROOT].preferences  # type: ignore[union-attr]

    def rest(self) -> None:
        """As it was before anyone did anything."""
        self.environment.cancel()
        self.current.wait_until(lambda: not self.environment.is_at_work(), 30)
        self.life_of.stop(30)
        shutil.rmtree(self.life_of.places().environment, ignore_errors=True)
        for name in self.preferences.BackendSettings.__struct_fields__:
            self.chosen.property_unset(name)
        bpy.context.preferences.system.use_online_access = False  # type: ignore[union-attr]
        self.current.dispatch(self.events.Dismissed())
        self.life_of.survey()


def program(path: Path, text: str) -> str:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
