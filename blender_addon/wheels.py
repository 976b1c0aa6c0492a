"""Looks, before anything else is imported, whether the shared packages can be used; says so in the panel when not.

It stands apart from the other rooms because they need these packages as soon as they are imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import textwrap
from pathlib import Path
from typing import Any

import bpy

from .core.wheel_check import OLDEST, Found, carried, complaint

MODULE_OF = {"pyzmq": "zmq", "msgspec": "msgspec"}
LINE = 48  # characters that a line of the sidebar shows

_shown = ""


def sentence() -> str:
    """What is wrong with the packages that Blender's Python finds now; "" when nothing is."""
    found = {package: find(package) for package in OLDEST}
    return complaint(found, {}) and complaint(found, _carriers())


def find(package: str) -> Found:
    """The version and folder of a package, without importing it."""
    module = MODULE_OF[package]
    loaded = sys.modules.get(module)
    if loaded is None:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return Found("")
        folder = Path(spec.origin).parent.parent
        for installed in folder.glob(f"{package}-*.dist-info"):
            return Found(installed.name.split("-")[1].removesuffix(".dist"), str(folder))
        loaded = importlib.import_module(module)  # a copy that somebody made by hand
    return Found(getattr(loaded, "__version__", ""), str(Path(loaded.__file__ or "").parent.parent))


def _carriers() -> dict[str, dict[str, str]]:
    """Name of another extension -> package -> version of the wheel that it carries."""
    import tomllib

    carriers: dict[str, dict[str, str]] = {}
    preferences: Any = bpy.context.preferences  # the stubs of 4.5 have it as a method
    for repository in preferences.extensions.repos:
        for path in Path(repository.directory).glob("*/blender_manifest.toml"):
            if path.parent == Path(__file__).parent:
                continue
            try:
                manifest = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # Blender itself says what is wrong with it
            carriers[str(manifest.get("name", path.parent.name))] = carried(manifest.get("wheels", []))
    return carriers


class WheelPanel(bpy.types.Panel):
    bl_idname = "SPLATWRIGHT_PT_wheels"
    bl_label = "Splatwright"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Splatwright"

    def draw(self, context: Any) -> None:
        _draw_sentence(self.layout)


class WheelPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or ""

    def draw(self, context: Any) -> None:
        _draw_sentence(self.layout)


def _draw_sentence(layout: Any) -> None:
    column = layout.column(align=True)
    column.alert = True
    for line in textwrap.wrap(_shown, LINE):
        column.label(text=line)


def register() -> None:
    """Instead of the other rooms: shows the sentence where the artist looks for them."""
    global _shown
    _shown = sentence()
    for shown in (WheelPanel, WheelPreferences):
        bpy.utils.register_class(shown)


def unregister() -> None:
    for shown in (WheelPreferences, WheelPanel):
        bpy.utils.unregister_class(shown)
