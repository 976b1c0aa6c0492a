"""The way of an artist on the first day: start the backend, choose photos, train, and watch the splats come."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .blender_window import PATIENCE, BlenderWindow, cut, psnr

pytestmark = pytest.mark.window

STEPS = 15_000  # so that it still goes on when all was looked at and clicked
MORE_STEPS = 150
GRAB_S = 10.0  # between the two looks
GAIN_DB = 0.5


def test_start_is_clicked_and_the_backend_comes(opened: BlenderWindow) -> None:
    assert opened.session("session.life.state") == "stopped"
    opened.look("1 before the start")
    opened.push(".backend_start(")
    opened.look("2 starting")
    opened.wait_for_session("session.is_connected and session.life.owned")
    assert (opened.home / "backend.json").is_file()
    opened.look("3 ready")


def test_a_capture_is_typed_in_and_its_cameras_come(opened: BlenderWindow, capture: Path) -> None:
    place = opened.find_button(".capture_path")
    opened.click(*place)
    opened.click(*place)
    opened.press("A", ctrl=True)
    opened.type(str(capture))
    opened.press("RET")
    assert opened.ask("bpy.context.scene.splatwright.capture_path") == str(capture)
    opened.push(".import_capture_cameras(")
    opened.wait("len([o for o in bpy.data.objects if o.type == 'CAMERA' and o.data.background_images])")
    opened.look("4 capture and cameras")


def test_the_same_view_comes_closer_to_the_photo_while_it_trains(opened: BlenderWindow, capture: Path) -> None:
    photo = Path(opened.run(_CHOOSE_CAMERA))
    assert photo.is_file() and photo.is_relative_to(capture)
    opened.enter_viewport()
    opened.press("NUMPAD_0", ctrl=True)
    opened.wait("bpy.context.scene.camera == camera")
    time.sleep(1)  # Blender turns the view smoothly
    behind = cut(opened.look("5 through a camera"), *opened.camera_frame())

    def look(name: str) -> tuple[float, int]:
        """In dB to the photo, over the camera's frame; and at which step that was."""
        step = opened.session("session.active_job.state.step")
        return psnr(cut(opened.look(name), *opened.camera_frame()), photo, behind), step

    opened.run("s = bpy.context.scene.splatwright; s.quality, s.steps = 'draft', steps", steps=STEPS)
    opened.push(".start_training(")
    opened.wait_for_session("session.active_job is not None and session.active_job.curve.points")
    opened.wait_until_shown()
    began = time.monotonic()
    first, step = look("6 first look")
    opened.wait_for_session(f"session.active_job.state.step > {step + MORE_STEPS}")
    time.sleep(max(GRAB_S - (time.monotonic() - began), 0.0))
    second, later = look("7 second look")
    print(f"step {step}: {first:.2f} dB; step {later}: {second:.2f} dB")
    assert later > step
    assert second > first + GAIN_DB


_CHOOSE_CAMERA = """
cameras = [o for o in bpy.data.objects if o.type == 'CAMERA' and o.data.background_images]
camera = cameras[3]  # not the first, which is held out
camera.data.show_background_images = False  # nothing but splats shall look like the photo
bpy.context.view_layer.objects.active = camera
answer = camera.data.background_images[0].image.filepath
"""


def test_the_job_rests_goes_on_and_is_kept_as_it_is(opened: BlenderWindow) -> None:
    opened.push(".pause_job(")
    opened.look("8 pausing")
    opened.wait_for_session("session.active_job.state.status == 'paused'")
    step = opened.session("session.active_job.state.step")
    time.sleep(2)
    assert opened.session("session.active_job.state.step") == step
    opened.look("8 paused")
    opened.push(".resume_job(")
    opened.wait_for_session(f"session.active_job.state.step > {step}")
    assert opened.ask("[o.splatwright.version for o in bpy.data.objects if o.splatwright.asset]") == [""]
    opened.push(".stop_job(")
    opened.wait_for_session("session.active_job is None")
    assert opened.session("[job.state.status for job in session.jobs.values()]") == ["stopped"]
    (version,) = opened.wait("[o.splatwright.version for o in bpy.data.objects if o.splatwright.version]")
    assert opened.session("[asset.head for asset in session.assets.values()]") == [version]
    opened.view("9 stopped and kept")


def test_undo_takes_the_version_back_and_redo_brings_it_again(opened: BlenderWindow) -> None:
    (version,) = opened.ask("[o.splatwright.version for o in bpy.data.objects if o.splatwright.asset]")
    opened.enter_viewport()
    opened.press("Z", ctrl=True)
    opened.wait("[o.splatwright.version for o in bpy.data.objects if o.splatwright.asset] == ['']")
    opened.press("Z", ctrl=True, shift=True)
    opened.wait(
        "[o.splatwright.version for o in bpy.data.objects if o.splatwright.asset] == [version]", version=version
    )


def test_a_training_that_the_computer_killed_is_told_of_and_goes_on(
    opened: BlenderWindow, train: Callable[[int], None]
) -> None:
    train(800)
    opened.wait_for_session("session.active_job is not None and session.active_job.state.step > 20")
    opened.kill_working_process()
    opened.wait_for_session("session.restarted != ''")
    opened.look("10 the working process died")
    opened.wait_for_session("session.is_connected and session.active_job is None", 2 * PATIENCE)
    opened.view("11 finished nevertheless")
    assert opened.session("list(session.jobs.values())[-1].state.status") == "finished"
