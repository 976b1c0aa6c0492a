"""Whatever becomes of a capture, the user's scene is as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
import small_tower
from small_tower import VIEWS, capture, everything, unusual


@pytest.fixture
def scene(empty_file: None) -> Any:
    return small_tower.make()


def test_all_settings_are_as_they_were(scene: Any, tmp_path: Path) -> None:
    unusual(scene)
    before = everything(scene)
    assert capture(tmp_path / "tower") == {"FINISHED"}
    assert everything(scene) == before


def test_all_settings_are_as_they_were_between_pictures_and_after_a_cancel(
    scene: Any, tmp_path: Path, room: Callable[[str], ModuleType]
) -> None:
    unusual(scene)
    before = everything(scene)
    plan = room("host.capture_plan").plan_of(bpy.context, scene.splatwright.capture)
    steps = room("host.scene_capture").capture(plan, tmp_path / "tower", "KEEP")
    for done in range(3):
        now = next(steps)
        assert (now.done, now.total) == (done, VIEWS) and (now.seconds_left is None) == (done == 0)
        assert everything(scene) == before
    steps.close()
    assert everything(scene) == before
    assert list(tmp_path.iterdir()) == []


def test_all_settings_are_as_they_were_after_an_error(
    scene: Any, tmp_path: Path, room: Callable[[str], ModuleType]
) -> None:
    unusual(scene)
    before = everything(scene)
    plan = room("host.capture_plan").plan_of(bpy.context, scene.splatwright.capture)
    steps = room("host.scene_capture").capture(plan, tmp_path / "tower", "KEEP")
    next(steps)
    (tmp_path / "tower.splatwright-unfinished" / "images").rmdir()
    (tmp_path / "tower.splatwright-unfinished" / "images").write_text("in the way")
    with pytest.raises(room("protocol").errors.UserError, match="could not render view view_0000"):
        next(steps)
    assert everything(scene) == before
    assert list(tmp_path.iterdir()) == []
