"""This scene is captured by the button: the cameras are shown, Esc stops it, and what was captured is trained from."""

from __future__ import annotations

import json

import pytest

from .blender_window import BlenderWindow

pytestmark = pytest.mark.window

VIEWS = 12

_SCENE = """
bpy.ops.mesh.primitive_monkey_add()
bpy.ops.object.shade_smooth()
chosen = bpy.context.scene.splatwright
chosen.capture_kind = "SCENE"
chosen.capture.count, chosen.capture.width, chosen.capture.height = views, 160, 120
chosen.capture.engine, chosen.capture.folder = "WORKBENCH", folder
answer = None
"""


def test_the_cameras_are_shown_before_they_take_pictures(opened: BlenderWindow) -> None:
    opened.run(_SCENE, views=VIEWS, folder=str(opened.folder / "captured"))
    opened.look("1 this scene")
    opened.push(".preview_capture(")
    opened.enter_viewport()
    opened.look("2 its cameras")


def test_esc_stops_it_and_keeps_nothing(opened: BlenderWindow) -> None:
    opened.run("chosen.capture.count = 200")
    opened.push(".capture_scene(")
    opened.wait(f"{_PROGRESS} is not None and {_PROGRESS}.done >= 2")
    opened.look("3 capturing")
    opened.press("ESC")
    opened.wait(f"{_PROGRESS} is None")
    opened.look("4 stopped")
    assert not (opened.folder / "captured").exists()
    assert [path.name for path in opened.folder.iterdir() if "captured" in path.name] == []


def test_a_whole_capture_is_there_when_it_is_done(opened: BlenderWindow) -> None:
    opened.run("chosen.capture.count = views", views=VIEWS)
    opened.push(".capture_scene(")
    opened.wait(f"{_PROGRESS} is None and __import__('os').path.exists(folder + '/transforms.json')")
    opened.look("5 captured")
    transforms = json.loads((opened.folder / "captured" / "transforms.json").read_text(encoding="utf-8"))
    assert len(transforms["frames"]) == VIEWS


_PROGRESS = "__import__('importlib').import_module('bl_ext.user_default.splatwright.ui.operators_capture').progress()"
