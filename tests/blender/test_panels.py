"""What the sidebar shows in every state: one sentence that says what to do next, and the button that does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import pytest

Room = Callable[[str], ModuleType]
Draw = Callable[..., Any]


@pytest.fixture
def session(room: Room, empty_file: None) -> Iterator[Any]:
    """Things happen to the session without a backend; afterwards all is forgotten."""
    current = room("host.current")
    before = current._session
    current.dispatch(room("core.events").Dismissed())
    yield current
    current._session = before


def connect(current: Any, room: Room) -> None:
    state = room("core.backend_state")
    current.dispatch(state.StartAsked(mode="local", owned=True))
    current.dispatch(state.LinkChanged("connected", device="cpu"))


def job(room: Room, **more: Any) -> Any:
    state = {"job": "1", "name": "fern", "method": "mcmc", "status": "running", "steps": 1000, "step": 0, **more}
    return room("protocol").things.JobState(**state)


def jobs_came(current: Any, room: Room, *jobs: Any) -> None:
    current.dispatch(room("core.events").JobsCame(jobs, time.monotonic(), is_all=False))


def text_of(layout: Any) -> str:
    return " ".join(layout.texts)


def test_the_panels_stand_in_the_order_of_work(extension: ModuleType) -> None:
    from recording_layout import panels

    ours = [panel for panel in panels(extension.__name__) if getattr(panel, "bl_category", "") == "Splatwright"]
    ordered = [panel.bl_label for panel in sorted(ours, key=lambda panel: panel.bl_order)]
    wanted = ["Backend", "Capture", "Train", "Splats", "Edit", "Mesh", "Rig", "Render", "Export"]
    assert [label for label in ordered if label in wanted] == wanted
    for panel in ours:
        assert (panel.bl_space_type, panel.bl_region_type) == ("VIEW_3D", "UI")


def test_every_panel_is_drawn_in_every_state_of_the_backend(session: Any, room: Room, draw: Draw) -> None:
    """The layout refuses what Blender's own would not take: an unknown operator, icon, property or argument."""
    import msgspec
    from recording_layout import panels

    state = room("core.backend_state")
    package = room("core").__name__.removesuffix(".core")
    for word in state.State.__args__:
        life = msgspec.structs.replace(session.session().life, state=word, sentence=f"It is {word}.", progress=0.5)
        session._session = msgspec.structs.replace(session.session(), life=life)
        drawn = [layout for panel in panels(package) if (layout := draw(panel)) is not None]
        assert any(f"It is {word}." in layout.texts for layout in drawn)


def test_without_a_backend_the_first_button_says_how_to_get_one(session: Any, room: Room, draw: Draw) -> None:
    life = session.session().life
    layout = draw("SPLATWRIGHT_PT_backend")
    assert life.sentence in text_of(layout) and life.button.operator in layout.operators
    assert "Start the backend above" in text_of(draw("SPLATWRIGHT_PT_train"))


def test_a_connected_backend_asks_for_photos_and_then_for_nothing(session: Any, room: Room, draw: Draw) -> None:
    import bpy

    connect(session, room)
    assert "cpu" in draw("SPLATWRIGHT_PT_backend").texts
    assert "Choose a folder of photos" in text_of(draw("SPLATWRIGHT_PT_train"))
    bpy.context.scene.splatwright.capture_path = "/photos"
    layout = draw("SPLATWRIGHT_PT_train")
    assert "Choose a folder of photos" not in text_of(layout)
    assert layout.operators["splatwright.start_training"].arguments["text"] == "Start Training"


def test_a_running_job_shows_its_figures_and_a_curve(session: Any, room: Room, draw: Draw) -> None:
    connect(session, room)
    jobs_came(session, room, job(room))
    messages, events, start = room("protocol").messages, room("core.events"), time.monotonic()
    for step in range(0, 601, 10):
        figures = {"loss": 0.1, "psnr": 20 + step / 100, "splats": 1000.0 + step}
        said = messages.JobProgress(job="1", stage="training", step=step, steps=1000, figures=figures)
        session.dispatch(events.Heard(said, start + step))
    session.dispatch(events.Heard(messages.JobNote(job="1", text="The masks cut out."), start + 600))
    layout = draw("SPLATWRIGHT_PT_train")
    text = text_of(layout)
    assert "fern: Training" in text and "600 of 1,000, 7 min left" in text
    assert "26.00 dB PSNR" in text and "1,600" in text and "cpu" in text and "The masks cut out." in text
    assert layout.called("progress")[0].arguments["factor"] == pytest.approx(0.6)
    tiles = [call.arguments["icon_value"] for call in layout.called("template_icon")]
    assert len(tiles) == 4  # without a window they have no ids


def test_the_curve_rises_from_left_to_right(session: Any, room: Room) -> None:
    import numpy as np

    connect(session, room)
    icons = room("ui.icons")
    curve, view = room("core.curve"), room("core.session").JobView
    points = tuple(curve.Point(step, psnr=float(step)) for step in range(0, 101, 10))
    shown = view(job(room, job="rising", steps=200), curve=curve.Curve(points))
    icons.curve_tiles(shown, 2)
    first, second = (
        np.array(icons._previews[f"rising {i}"].icon_pixels_float[:]).reshape(icons.TILE, icons.TILE, 4) for i in (0, 1)
    )
    lit = [int((first[:, column, 2] > 0.5).nonzero()[0].max()) for column in (5, 30, 60)]
    assert lit[0] < lit[1] < lit[2]
    assert (second[:, 5:, 2] < 0.5).all()  # half of the steps are still to come


def test_an_answer_that_comes_after_the_events_does_not_bring_an_older_state_back(session: Any, room: Room) -> None:
    asking, things = room("ui.asking"), room("protocol").things
    connect(session, room)
    asking.learn(job(room), things.AssetInfo(asset="a", name="fern", head=""))
    assert session.session().jobs["1"].state.status == "running"
    jobs_came(session, room, job(room, status="finished"))
    asking.learn(job(room), things.AssetInfo(asset="a", name="old", head=""))
    assert session.session().jobs["1"].state.status == "finished"
    assert session.session().assets["a"].name == "fern"


class SlowLink:
    """Answers when the test wants it to."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def ask(self, message: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def test_versions_that_change_while_they_are_asked_for_are_asked_for_again(
    session: Any, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions, things, messages = room("host.versions"), room("protocol").things, room("protocol").messages
    link = SlowLink()
    monkeypatch.setattr(session, "open_link", lambda: link)
    connect(session, room)
    session._session = room("core.session").Session(
        assets={"slow": things.AssetInfo(asset="slow", name="fern", head="")}
    )
    assert versions.of("slow") == versions.of("slow") == () and not link.futures  # nothing is asked in a draw
    session.drain()
    assert len(link.futures) == 1
    changed = messages.AssetChanged(asset=things.AssetInfo(asset="slow", name="fern", head="v"))
    session.dispatch(room("core.events").Heard(changed, time.monotonic()))
    link.futures[0].set_result(messages.VersionList(versions=()))
    session.drain()
    info = things.VersionInfo(version="v", asset="slow", label="MCMC")
    link.futures[1].set_result(messages.VersionList(versions=(info,)))
    session.drain()
    assert versions.of("slow") == (info,) and len(link.futures) == 2


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("queued", {"pause_job", "cancel_job"}),
        ("running", {"pause_job", "stop_job", "cancel_job"}),
        ("paused", {"resume_job", "stop_job", "cancel_job"}),
        ("finished", set()),
        ("stopped", {"resume_job"}),
        ("cancelled", set()),
        ("failed", {"resume_job"}),
    ],
)
def test_a_job_has_the_buttons_of_its_state(
    session: Any, room: Room, draw: Draw, status: str, buttons: set[str]
) -> None:
    connect(session, room)
    jobs_came(session, room, job(room, status=status))
    layout = draw("SPLATWRIGHT_PT_train")
    steering = {"pause_job", "resume_job", "stop_job", "cancel_job"}
    assert {name.partition(".")[2] for name in layout.operators} & steering == buttons


def test_what_was_pressed_shows_at_once_that_it_was_heard(session: Any, room: Room, draw: Draw) -> None:
    connect(session, room)
    jobs_came(session, room, job(room))
    session.dispatch(room("core.events").SteerAsked("1", "pause"))
    layout = draw("SPLATWRIGHT_PT_train")
    assert "fern: Pausing…" in layout.texts
    assert "splatwright.pause_job" not in layout.operators and "splatwright.resume_job" in layout.operators


def test_what_is_sent_is_shown_with_its_bytes_and_a_button_that_stops_it(session: Any, room: Room, draw: Draw) -> None:
    connect(session, room)
    session.dispatch(room("core.events").UploadWent(7, "fern", 12_500_000, 50_000_000, time.monotonic()))
    layout = draw("SPLATWRIGHT_PT_backend")
    assert "12.5 MB of 50.0 MB" in layout.texts and layout.called("progress")[0].arguments["factor"] == 0.25
    assert layout.operators["splatwright.stop_upload"].result.upload == 7
    session.dispatch(room("core.events").UploadEnded(7))
    assert "splatwright.stop_upload" not in draw("SPLATWRIGHT_PT_backend").operators


def test_a_failure_is_shown_with_its_fix_and_can_be_dismissed(session: Any, room: Room, draw: Draw) -> None:
    errors = room("protocol").errors
    assert draw("SPLATWRIGHT_PT_problem") is None
    session.tell(errors.UserError("missing_dependency", "It is gone.", "Get it back.", "splatwright.backend_install"))
    layout = draw("SPLATWRIGHT_PT_problem")
    assert "It is gone." in layout.texts and "Get it back." in layout.texts
    assert {"splatwright.backend_install", "splatwright.copy_report"} <= layout.operators.keys()
    session.tell(errors.UserError("bad_input", "No poses.", "Find them.", "splatwright pose /photos"))
    button = draw("SPLATWRIGHT_PT_problem").operators["splatwright.copy_text"].result
    assert button.text == "splatwright pose /photos"
    session.tell(ZeroDivisionError("ours"))
    assert list(draw("SPLATWRIGHT_PT_problem").operators) == ["splatwright.copy_report"]


def test_the_splats_panel_says_what_the_active_object_is(session: Any, room: Room, draw: Draw) -> None:
    import bpy

    things, objects = room("protocol").things, room("host.objects")
    assert "Select splats" in text_of(draw("SPLATWRIGHT_PT_splats"))
    connect(session, room)
    asset = things.AssetInfo(asset="a", name="fern", head="v", splats=54321, bytes=12_500_000)
    session.dispatch(room("core.events").AssetsCame((asset,)))
    splats = objects.create(bpy.context, asset, follow_job=False)
    text = text_of(draw("SPLATWRIGHT_PT_splats"))
    assert "54,321" in text and "12.5 MB" in text
    (item,) = draw("SPLATWRIGHT_MT_assets").called("operator")
    assert item.result.asset == "a" and "fern, 54,321 splats" in item.arguments["text"]
    jobs_came(session, room, job(room, asset="a"))
    assert "Follows the job 'fern'" in text_of(draw("SPLATWRIGHT_PT_splats"))
    session.dispatch(room("core.events").JobsCame((), time.monotonic()))
    session.dispatch(room("core.events").AssetsCame(()))
    assert objects.is_missing(splats)
    assert "splatwright.locate_asset" in draw("SPLATWRIGHT_PT_splats").operators


def test_everything_has_a_tooltip(extension: ModuleType) -> None:
    import bpy

    package = extension.__name__
    for operator in bpy.types.Operator.__subclasses__():
        if not operator.__module__.startswith(package):
            continue
        module, _, name = operator.bl_idname.partition(".")
        rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
        assert rna.description and rna.description != "(undocumented operator)", operator.bl_idname
        assert rna.name, operator.bl_idname
    for owner in (bpy.types.Scene, bpy.types.Object):
        assert_described(owner.bl_rna.properties["splatwright"].fixed_type)


def assert_described(group: Any) -> None:
    for prop in group.properties:
        if prop.type == "POINTER" and prop.fixed_type.base and prop.fixed_type.base.identifier == "PropertyGroup":
            assert_described(prop.fixed_type)
        elif prop.identifier != "rna_type" and not prop.is_hidden:
            assert prop.description or prop.identifier == "name", f"{group.identifier}.{prop.identifier}"
