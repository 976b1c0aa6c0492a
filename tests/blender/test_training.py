"""Trainings and jobs through the operators, as a script calls them and as the panel shows them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
Room = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def capture(served_backend: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small made photos of a scene."""
    folder = tmp_path_factory.mktemp("capture") / "shapes"
    make = "import sys, pathlib; from backend.captures import make_capture; "
    make += "make_capture(pathlib.Path(sys.argv[1]), views=10, width=64, height=48, points=400)"
    subprocess.run([str(served_backend.python), "-c", make, str(folder)], cwd=REPOSITORY, check=True)
    return folder


@pytest.fixture
def connected(backend: Any, room: Room, empty_file: None) -> Iterator[ModuleType]:
    """host.current, with the backend behind it and an empty file."""
    import bpy

    current = room("host.current")
    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    bpy.context.window_manager.splatwright.job = ""
    yield current
    for job in [job for job in current.session().jobs.values() if not job.is_over]:
        bpy.ops.splatwright.cancel_job(job=job.state.job)  # else it would keep the next test waiting
    bpy.ops.splatwright.backend_stop()


def start(capture: Path, **more: Any) -> None:
    import bpy

    options = {"quality": "draft", "steps": 40, "max_splats": 600, "resolution": 64, **more}
    assert bpy.ops.splatwright.start_training(capture=str(capture), **options) == {"FINISHED"}


def is_training(current: ModuleType, job: str = "") -> bool:
    """Whether some steps were made; the stages before count photos and not steps."""
    state = current.session().jobs[job].state if job else job_now(current).state
    return state.steps == 20_000 and state.step >= 10


def job_now(current: ModuleType) -> Any:
    import bpy

    return current.session().jobs[bpy.context.window_manager.splatwright.job]


def test_a_script_trains_and_has_the_result_when_the_operator_returns(
    connected: ModuleType, capture: Path, room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    import bpy

    start(capture, name="shapes", wait=True)
    job = job_now(connected)
    assert job.state.status == "finished" and job.state.step == job.state.steps == 40
    assert "shapes: There are no masks" in capsys.readouterr().out  # and so on, in the console
    splats = bpy.context.view_layer.objects.active
    asset = connected.session().assets[splats.splatwright.asset]
    assert asset.name == "shapes" and 0 < asset.splats <= 600
    assert splats.splatwright.version == asset.head == job.state.version


def test_the_object_is_there_at_once_and_follows_the_job(
    connected: ModuleType, capture: Path, room: Room, draw: Callable[..., Any], listen: Callable[..., None]
) -> None:
    import bpy

    start(capture, name="long", steps=20_000)
    splats = bpy.context.view_layer.objects.active
    assert room("host.objects").shown_version(splats) == ""
    assert connected.wait_until(lambda: is_training(connected), 120)
    layout = draw("SPLATWRIGHT_PT_train")
    assert any("of 20,000" in text for text in layout.texts)
    assert {"splatwright.pause_job", "splatwright.stop_job", "splatwright.cancel_job"} <= layout.operators.keys()

    told: list[Any] = []
    listen(lambda _event: told.append((job_now(connected).wish, job_now(connected).state.status)))
    assert bpy.ops.splatwright.pause_job() == {"FINISHED"}
    assert told[0] == ("pause", "running")  # heard at once, done with the next step
    assert connected.wait_until(lambda: job_now(connected).state.status == "paused", 60)
    assert job_now(connected).wish is None
    assert "splatwright.resume_job" in draw("SPLATWRIGHT_PT_train").operators
    rested_at = job_now(connected).state.step

    bpy.ops.splatwright.resume_job()
    assert connected.wait_until(lambda: job_now(connected).state.step > rested_at, 60)
    bpy.ops.splatwright.stop_job()
    assert connected.wait_until(lambda: job_now(connected).is_over, 120)
    assert job_now(connected).state.status == "stopped"
    assert splats.splatwright.version == job_now(connected).state.version != ""


def test_in_a_window_the_operators_return_at_once_and_the_result_comes_with_the_tick(
    connected: ModuleType, capture: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bpy

    monkeypatch.setattr(connected, "is_interactive", lambda: True)  # there is a window, and we are the tick
    start(capture, name="beside")
    assert not bpy.data.objects and bpy.context.window_manager.splatwright.job == ""
    assert connected.wait_until(lambda: len(bpy.data.objects) == 1, 60)
    splats = bpy.data.objects["beside"]
    assert connected.wait_until(lambda: job_now(connected).is_over, 120)
    assert splats.splatwright.version == job_now(connected).state.version != ""

    empty = bpy.data.objects.new("Region", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.scale = (100, 100, 100)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = splats
    bpy.context.scene.splatwright.box = empty
    trained = splats.splatwright.version
    assert bpy.ops.splatwright.run_method(method="crop") == {"FINISHED"}
    assert splats.splatwright.version == trained
    assert connected.wait_until(lambda: splats.splatwright.version != trained, 60)
    asset = splats.splatwright.asset
    assert connected.wait_until(lambda: connected.session().job_of_asset(asset) is None, 10)

    start(Path("/nowhere/at/all"), name="wrong")  # what goes wrong later is shown in the panel
    assert connected.wait_until(lambda: connected.session().failure is not None, 30)
    assert "/nowhere/at/all" in connected.session().failure.message
    connected.dispatch(room("core.events").Dismissed())


def test_what_is_thrown_away_leaves_no_version(connected: ModuleType, capture: Path) -> None:
    import bpy

    start(capture, name="unwanted", steps=20_000)
    asset = bpy.context.view_layer.objects.active.splatwright.asset
    assert connected.wait_until(lambda: is_training(connected), 120)
    bpy.ops.splatwright.cancel_job()
    assert connected.wait_until(lambda: job_now(connected).is_over, 60)
    assert job_now(connected).state.status == "cancelled"
    info = connected.session().assets.get(asset)
    assert info is None or info.head == ""


def test_jobs_of_an_earlier_session_are_found_listed_and_resumed(
    connected: ModuleType, backend: Any, capture: Path, draw: Callable[..., Any]
) -> None:
    import bpy

    start(capture, name="earlier", steps=20_000)
    job = bpy.context.window_manager.splatwright.job
    start(capture, name="waiting", steps=20_000)
    second = bpy.context.window_manager.splatwright.job
    assert connected.wait_until(lambda: is_training(connected, job), 120)
    bpy.ops.splatwright.pause_job(job=job)
    connected.wait_until(lambda: connected.session().jobs[job].state.status == "paused", 60)
    bpy.ops.splatwright.backend_stop()
    bpy.context.window_manager.splatwright.job = ""
    assert not connected.session().is_connected

    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    assert connected.session().jobs[job].state.status == "paused"
    texts = draw("SPLATWRIGHT_PT_jobs").texts
    assert "earlier: Paused" in texts and any(text.startswith("waiting: ") for text in texts)
    bpy.ops.splatwright.show_job(job=job)
    assert draw("SPLATWRIGHT_PT_train").operators["splatwright.resume_job"].result.job == job
    bpy.ops.splatwright.cancel_job(job=second)
    bpy.ops.splatwright.resume_job(job=job)
    is_going_on = connected.wait_until(lambda: connected.session().jobs[job].state.status in ("running", "queued"), 60)
    assert is_going_on, connected.session().jobs[job].state
    bpy.ops.splatwright.cancel_job(job=job)
    connected.wait_until(lambda: connected.session().jobs[job].is_over, 60)


def test_what_the_panel_says_is_what_is_trained(connected: ModuleType, capture: Path) -> None:
    import bpy

    scene = bpy.context.scene.splatwright
    scene.capture_path, scene.method, scene.quality = str(capture), "default", "draft"
    scene.steps, scene.resolution, scene.methods.default.sh_degree = 15, 64, 1
    assert bpy.ops.splatwright.start_training(wait=True) == {"FINISHED"}
    state = job_now(connected).state
    assert (state.method, state.steps, state.name) == ("default", 15, "shapes")
    asset = connected.session().assets[state.asset]
    splats = connected.link().backend.splats(asset.asset, asset.head)
    assert splats.sh.shape[1] == 4  # degree 1


def test_training_goes_on_from_the_active_splats_in_their_object(
    connected: ModuleType, capture: Path, room: Room, draw: Callable[..., Any]
) -> None:
    import bpy

    start(capture, wait=True)
    splats: Any = bpy.context.view_layer.objects.active
    own = splats.splatwright
    asset, first = own.asset, own.version
    buttons = draw("SPLATWRIGHT_PT_train").called("operator")
    assert any(call.arguments.get("text") == f"Go On from {splats.name}" for call in buttons)

    start(capture, splats=splats.name, method="sugar_surface", settings='{"samples": 300}', wait=True)
    state = job_now(connected).state
    assert (state.status, state.method, state.asset) == ("finished", "sugar_surface", asset), state.failure
    assert len(room("host.objects").objects_of(asset)) == 1, "the same object shows it"
    assert own.version == state.version != first
    backend = connected.link().backend
    assert 0 < len(backend.splats(asset, state.version).means) <= len(backend.splats(asset, first).means)

    with pytest.raises(RuntimeError, match="No splats are selected"):
        start(capture, splats=splats.name, only_selected=True)
    with pytest.raises(RuntimeError, match="There is no object 'Nobody'"):
        start(capture, splats="Nobody")
    bpy.ops.mesh.primitive_cube_add()
    with pytest.raises(RuntimeError, match="No splat object is chosen"):
        start(capture, splats=bpy.context.object.name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"capture": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"capture": ""}, "No capture folder is chosen"),
        ({"method": "magic"}, "There is no training method 'magic'"),
        ({"settings": "sh_degree=2"}, "cannot be read"),
        ({"settings": '{"sh_degree": 9}'}, "sh_degree"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_sentence_and_leaves_nothing_behind(
    connected: ModuleType, capture: Path, draw: Callable[..., Any], options: dict[str, Any], sentence: str
) -> None:
    import bpy

    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.splatwright.start_training(**{"capture": str(capture), "wait": True, **options})
    assert not [object for object in bpy.data.objects if object.splatwright.asset]
    shown = draw("SPLATWRIGHT_PT_problem")
    assert sentence.rsplit("/", 1)[-1] in " ".join(shown.texts)
    bpy.ops.splatwright.dismiss_failure()
    assert draw("SPLATWRIGHT_PT_problem") is None


def test_a_method_on_a_mesh_hangs_its_splats_on_the_scene_s(
    connected: ModuleType, capture: Path, tmp_path: Path, draw: Callable[..., Any]
) -> None:
    import bpy

    ours = Path(shutil.copytree(capture, tmp_path / "ours"))
    about = json.loads((ours / "transforms.json").read_text())
    (ours / "transforms.json").write_text(json.dumps(about | {"splatwright_world": "blender"}))
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, location=(0.2, 0.0, 0.5))
    ball: Any = bpy.context.object
    chosen: Any = bpy.context.scene.splatwright
    chosen.method = "gs_mesh"
    assert any(call.arguments["property"] == "bind_mesh" for call in draw("SPLATWRIGHT_PT_train").called("prop"))
    with pytest.raises(RuntimeError, match="No mesh is chosen"):
        start(ours, max_splats=2000)
    with pytest.raises(RuntimeError, match="is no capture of a Blender scene"):
        start(capture, max_splats=2000, mesh=ball.name)
    chosen.bind_mesh = ball
    start(ours, max_splats=2000, wait=True)
    splats: Any = bpy.context.view_layer.objects.active
    assert job_now(connected).state.status == "finished", job_now(connected).state.failure
    found = connected.session().assets[splats.splatwright.asset]
    assert found.splats == 6 * len(ball.data.polygons), "as many a face as the budget allows"
    assert splats.splatwright.version == found.head


def test_a_capture_of_an_animation_trains_on_the_mesh_in_its_poses(connected: ModuleType, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2)
    ball: Any = bpy.context.object
    for frame, size in ((1, 1.0), (5, 2.0)):
        ball.scale.z = size
        ball.keyframe_insert("scale", index=2, frame=frame)
    bpy.context.scene.frame_set(1)
    chosen: Any = bpy.context.scene.splatwright
    chosen.bind_mesh, chosen.method = ball, "gs_mesh"
    around = chosen.capture
    around.count, around.width, around.height, around.engine, around.points = 9, 48, 48, "WORKBENCH", 0
    around.spread, around.frame_start, around.frame_end, around.frame_step = True, 1, 5, 2
    folder = tmp_path / "animated"
    assert bpy.ops.splatwright.capture_scene(folder=str(folder)) == {"FINISHED"}
    start(folder, max_splats=2000, wait=True)
    job = job_now(connected)
    assert job.state.status == "finished", job.state.failure
    assert any("in 3 poses" in note for note in job.notes), job.notes
