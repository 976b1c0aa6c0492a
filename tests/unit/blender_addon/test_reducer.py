from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from blender_addon.core import wording
from blender_addon.core.backend_state import NOTHING_YET, Life, StartAsked
from blender_addon.core.effects import Ask, AssetGone, Effect, Redraw, ShowVersion, Tell
from blender_addon.core.events import (
    AssetsCame,
    CatalogCame,
    Dismissed,
    Event,
    FailureCame,
    Heard,
    JobsCame,
    LinkChanged,
    SteerAnswered,
    SteerAsked,
    UploadEnded,
    UploadWent,
)
from blender_addon.core.reducer import receive
from blender_addon.core.session import MOST_NOTES, Session, Wish
from shared_protocol import messages, things

CONNECTED = LinkChanged("connected", device="cpu")


def job(status: things.JobStatus = "running", id: str = "j", **more: Any) -> things.JobState:
    return things.JobState(
        **{"job": id, "name": "garden", "method": "mcmc", "asset": "a", "steps": 100, **more}, status=status
    )


def asset(head: str = "", id: str = "a", **more: Any) -> things.AssetInfo:
    return things.AssetInfo(asset=id, name="garden", head=head, **more)


class History:
    """Feeds events to the reducer, a second apart, and keeps the effects."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()
        self.effects: list[Effect] = []
        self._clock = itertools.count(1.0)

    def __call__(self, *events: Event | messages.Event | messages.Preview) -> History:
        for event in events:
            heard = Heard(event, next(self._clock)) if isinstance(event, messages.Event | messages.Preview) else event
            before = msgspec.msgpack.encode(self.session)
            new, effects = receive(self.session, heard)
            assert msgspec.msgpack.encode(self.session) == before, "a session is never changed"
            self.session = new
            self.effects += effects
        return self

    def progress(self, step: int, id: str = "j", **figures: float) -> History:
        return self(messages.JobProgress(job=id, stage="Training", step=step, steps=100, figures=figures))

    def listed(self, *jobs: things.JobState) -> History:
        return self(JobsCame(jobs, next(self._clock)))

    def shown(self) -> list[ShowVersion]:
        return [effect for effect in self.effects if isinstance(effect, ShowVersion)]

    @property
    def job(self) -> Any:
        return self.session.jobs["j"]


@pytest.fixture
def history() -> History:
    """Connected to a backend with one asset and no job."""
    return History()(StartAsked("local", True), CONNECTED, CatalogCame(()), AssetsCame((asset(),))).listed()


def test_whoever_connects_asks_what_there_is_and_assets_before_jobs() -> None:
    history = History()(StartAsked("local", True), CONNECTED)
    asked = [type(effect.message).__name__ for effect in history.effects if isinstance(effect, Ask)]
    assert asked == ["ListMethods", "ListAssets", "ListJobs"]
    assert history.session.is_connected and not history.session.is_listed and history.session.device == "cpu"
    assert history.listed().session.is_listed


def test_what_the_backend_reads_and_writes_is_known_from_its_catalog(history: History) -> None:
    assert history.session.reads == history.session.writes == (".ply",)
    history(CatalogCame((), (".ply", ".spz"), (".ply",)))
    assert history.session.reads == (".ply", ".spz") and history.session.writes == (".ply",)


def test_jobs_and_assets_of_other_days_are_listed_without_moving_any_object() -> None:
    history = History()(CONNECTED, AssetsCame((asset("v1"),))).listed(job("finished", version="v1"))
    assert history.job.is_over and history.session.assets["a"].head == "v1" and history.shown() == []


def test_a_job_from_start_to_end_shows_its_version_once(history: History) -> None:
    history(messages.JobChanged(job=job("queued")), messages.AssetChanged(asset=asset(job="j")))
    assert history.session.active_job is history.job and history.job.seconds_left is None
    history(messages.JobChanged(job=job("running")))
    history.progress(1, loss=0.5, splats=100).progress(2, loss=0.4, psnr=20.0, splats=200)
    assert history.job.state.step == 2 and history.job.state.figures["psnr"] == 20.0
    assert [(p.step, p.loss, p.psnr, p.splats) for p in history.job.curve.points] == [
        (1, 0.5, None, 100),
        (2, 0.4, 20.0, 200),
    ]
    assert history.session.job_of_asset("a") is history.job  # while this holds, objects show the head
    history(messages.AssetChanged(asset=asset("v7", job="j")))
    assert history.shown() == []  # a head that moves is no version yet
    history(messages.JobChanged(job=job("finished", step=100, version="v7")))
    assert history.shown() == [ShowVersion("a", "v7", "j", "Splatwright: garden")]
    assert history.session.job_of_asset("a") is None and history.session.assets["a"].job == ""
    assert history.session.active_job is None
    history(messages.JobChanged(job=job("finished", step=100, version="v7")))
    assert len(history.shown()) == 1


def test_what_is_selected_hidden_and_apart_after_an_edit_is_shown_with_its_version(history: History) -> None:
    edit = {"category": "editing", "version": "v2", "selection": "s", "hidden": "h", "apart": "part"}
    history(messages.JobChanged(job=job()), messages.JobChanged(job=job("finished", **edit)))
    (shown,) = history.shown()
    assert (shown.version, shown.selection, shown.hidden, shown.apart) == ("v2", "s", "h", "part")


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_job_that_made_no_version_moves_nothing(history: History, status: things.JobStatus) -> None:
    failure = things.Failed(kind="diverged", message="It diverged.") if status == "failed" else None
    history(messages.JobChanged(job=job()), messages.JobChanged(job=job(status, failure=failure)))
    assert history.shown() == [] and history.session.assets["a"].head == ""
    assert history.session.failure == failure
    assert (Tell("error", "garden: It diverged.") in history.effects) == (status == "failed")


def test_a_job_that_was_stopped_early_shows_what_there_was(history: History) -> None:
    history(messages.JobChanged(job=job()), messages.JobChanged(job=job("stopped", version="v2")))
    assert [effect.version for effect in history.shown()] == ["v2"]


def test_an_edit_that_is_over_before_it_was_heard_of_shows_its_version(history: History) -> None:
    history(messages.JobChanged(job=job("finished", category="editing", version="v2")))
    assert [effect.version for effect in history.shown()] == ["v2"]


def test_a_meshing_job_only_reads_its_asset(history: History) -> None:
    history(messages.JobChanged(job=job(category="meshing")))
    assert history.session.job_of_asset("a") is None
    history(messages.JobChanged(job=job("finished", category="meshing")))
    assert history.shown() == []


def test_two_jobs_do_not_get_in_each_others_way(history: History) -> None:
    history(AssetsCame((asset(), asset(id="b"))))
    history(messages.JobChanged(job=job()), messages.JobChanged(job=job("queued", id="k", asset="b")))
    assert history.session.active_job is history.job
    history.progress(5, loss=0.3)
    history(messages.JobChanged(job=job("finished", version="v1")), messages.JobChanged(job=job(id="k", asset="b")))
    history.progress(9, id="k", loss=0.2)
    assert history.session.jobs["k"].state.step == 9 and history.session.active_job is history.session.jobs["k"]
    assert [p.loss for p in history.job.curve.points] == [0.3]
    assert [(effect.asset, effect.job) for effect in history.shown()] == [("a", "j")]


def test_progress_of_a_job_that_is_over_or_unknown_changes_nothing(history: History) -> None:
    before = history.session
    assert history.progress(5).session is before
    history(messages.JobChanged(job=job("finished", step=100)))
    assert history.progress(99).job.state.step == 100


def test_a_job_may_go_on_after_its_end(history: History) -> None:
    history(messages.JobChanged(job=job()), messages.JobChanged(job=job("stopped", version="v1")))
    history(messages.JobChanged(job=job("queued")), messages.JobChanged(job=job("running")))
    assert not history.job.is_over
    history(messages.JobChanged(job=job("finished", version="v2")))
    assert [effect.version for effect in history.shown()] == ["v1", "v2"]


# ---- lost and found


def test_the_job_goes_on_after_a_lost_connection_and_its_curve_too(history: History) -> None:
    history(messages.JobChanged(job=job())).progress(10, loss=0.5)
    history(LinkChanged("lost", "The connection to the backend was lost."))
    assert history.session.life.state == "lost" and history.job.state.status == "running"
    assert history.job.curve.marks == ()
    history(LinkChanged("connected", ended=("The working process was killed.",)))
    assert history.session.restarted == "The working process was killed."
    assert Tell("warning", "The backend was started again: The working process was killed.") in history.effects
    history(AssetsCame((asset(job="j"),))).listed(job(step=4, resumed=1))
    history.progress(5, loss=0.6)
    assert [p.step for p in history.job.curve.points] == [5]  # steps after the checkpoint never happened
    history.progress(6, loss=0.4)
    assert [p.step for p in history.job.curve.points] == [5, 6] and history.shown() == []


def test_a_job_that_ended_while_nobody_listened_shows_its_version_once(history: History) -> None:
    history(messages.JobChanged(job=job()), LinkChanged("lost", "Lost."), CONNECTED)
    history(AssetsCame((asset("v3"),))).listed(job("finished", version="v3"))
    assert [effect.version for effect in history.shown()] == ["v3"]
    history(LinkChanged("lost", "Lost."), CONNECTED, AssetsCame((asset("v3"),))).listed(job("finished", version="v3"))
    assert len(history.shown()) == 1


def test_what_was_heard_since_the_connection_is_newer_than_the_lists(history: History) -> None:
    history(messages.JobChanged(job=job()), LinkChanged("lost", "Lost."), CONNECTED)
    history(messages.AssetChanged(asset=asset("v9")), messages.JobChanged(job=job("finished", version="v9")))
    history(messages.AssetChanged(asset=asset("w1", id="new")))
    history(AssetsCame((asset("v8", job="j"),))).listed(job("running", step=50))
    assert history.job.state.status == "finished" and history.session.assets["a"].head == "v9"
    assert history.session.assets["new"].head == "w1"
    assert [effect.version for effect in history.shown()] == ["v9"]


def test_an_asset_removed_since_the_connection_is_not_brought_back_by_the_list(history: History) -> None:
    history(LinkChanged("lost", "Lost."), CONNECTED, messages.AssetRemoved(asset="a"), AssetsCame((asset("v1"),)))
    assert history.session.assets == {} and history.effects.count(AssetGone("a")) == 1


def test_a_job_begun_before_the_list_came_stays(history: History) -> None:
    history(LinkChanged("lost", "Lost."), CONNECTED, messages.JobChanged(job=job(id="new"))).listed(
        job("finished", id="old")
    )
    assert list(history.session.jobs) == ["old", "new"]


def test_another_workspace_has_other_jobs_and_assets(history: History) -> None:
    history(messages.JobChanged(job=job()), LinkChanged("lost", "Lost."), CONNECTED)
    history(AssetsCame((asset(id="other"),))).listed(job("finished", id="other"))
    assert list(history.session.jobs) == ["other"] and list(history.session.assets) == ["other"]
    assert AssetGone("a") in history.effects and history.shown() == []


def test_an_asset_that_is_removed_is_gone_and_its_job_moves_nothing(history: History) -> None:
    history(messages.JobChanged(job=job()), messages.AssetRemoved(asset="a"))
    assert history.session.assets == {} and AssetGone("a") in history.effects
    history(messages.JobChanged(job=job("cancelled", version="v1")))
    assert history.shown() == []


def test_a_backend_that_is_busy_for_a_moment_is_not_asked_everything_again(history: History) -> None:
    history.effects.clear()
    history(messages.JobChanged(job=job()), LinkChanged("busy", "The backend is busy.", device="cpu"), CONNECTED)
    assert history.session.is_listed and not [effect for effect in history.effects if isinstance(effect, Ask)]


# ---- notes, failures, time


@pytest.mark.parametrize(
    ("wish", "before", "after"),
    [
        ("pause", "running", "paused"),
        ("pause", "queued", "paused"),
        ("pause", "running", "finished"),  # it was at its last step
        ("resume", "paused", "queued"),
        ("resume", "failed", "running"),
        ("stop", "running", "stopped"),
        ("cancel", "paused", "cancelled"),
    ],
)
def test_a_wish_is_shown_from_the_press_until_it_is_granted(
    history: History, wish: Wish, before: things.JobStatus, after: things.JobStatus
) -> None:
    history.listed(job(before))
    assert wording.doing(history.job) == wording.status(history.job.state)
    history(SteerAsked("j", wish))
    assert wording.doing(history.job).endswith("…") and history.job.state.status == before
    history(SteerAnswered("j", before), messages.JobChanged(job=job(before)))  # heard, and not yet done
    history.progress(5)
    assert history.job.wish == wish
    history(messages.JobChanged(job=job(after)))
    assert history.job.wish is None and wording.doing(history.job) == wording.status(history.job.state)


def test_a_wish_that_is_refused_or_lost_is_none_any_more(history: History) -> None:
    history.listed(job())
    assert history(SteerAsked("j", "pause"), SteerAnswered("j", None)).job.wish is None
    assert history(SteerAsked("j", "pause"), LinkChanged("lost", "gone")).job.wish is None
    assert history(SteerAsked("gone", "pause")).session.jobs.keys() == {"j"}


def test_an_answer_that_comes_after_the_events_brings_no_older_state_back(history: History) -> None:
    history.listed(job())(SteerAsked("j", "pause"), messages.JobChanged(job=job("paused")))
    assert history(SteerAnswered("j", "running")).job.state.status == "paused" and history.job.wish is None


def test_pausing_is_taken_back_by_resuming(history: History) -> None:
    history.listed(job())(SteerAsked("j", "pause"), SteerAsked("j", "resume"))
    assert history.job.wish == "resume"
    assert history(SteerAnswered("j", "running")).job.wish is None


def test_uploads_are_shown_with_the_time_they_take_until_they_end(history: History) -> None:
    history(UploadWent(1, "garden", 0, 0, 0.0), UploadWent(2, "fern", 0, 0, 0.0))
    assert [wording.upload(upload) for upload in history.session.uploads.values()] == ["Reading the files"] * 2
    for second in range(11):
        history(UploadWent(1, "garden", second * 10_000_000, 200_000_000, float(second)))
    assert wording.upload(history.session.uploads[1]) == "100.0 MB of 200.0 MB, 10 s left"
    assert set(history(UploadEnded(1), UploadEnded(1)).session.uploads) == {2}


def test_notes_are_kept_up_to_a_number(history: History) -> None:
    history(messages.JobChanged(job=job()))
    history(*(messages.JobNote(job="j", text=str(i)) for i in range(MOST_NOTES + 5)))
    assert history.job.notes[-1] == str(MOST_NOTES + 4) and len(history.job.notes) == MOST_NOTES
    assert messages.JobNote(job="unknown", text="?") and history(messages.JobNote(job="unknown", text="?"))


def test_a_failure_stays_until_it_is_dismissed(history: History) -> None:
    failure = things.Failed(kind="bad_input", message="No.")
    assert history(FailureCame(failure)).session.failure == failure
    assert history(Dismissed()).session.failure is None


def test_previews_are_for_listeners_only(history: History) -> None:
    before = history.session
    empty: Any = None
    assert history(messages.Preview(job="j", step=1, splats=empty)).session is before


def test_time_is_left_once_the_pace_is_known_and_not_while_it_rests(history: History) -> None:
    history(messages.JobChanged(job=job()))
    for step in range(0, 50, 10):
        assert history.job.seconds_left is None
        history.progress(step)
    assert history.job.seconds_left == pytest.approx(6.0)  # 10 steps a second, 60 to go
    history(messages.JobChanged(job=job("paused", step=40)))
    assert history.job.seconds_left is None
    history(messages.JobChanged(job=job("running", step=40)))
    assert history.job.seconds_left is None  # how long it rested says nothing


def test_every_change_is_drawn(history: History) -> None:
    for event in (messages.JobChanged(job=job()), messages.JobNote(job="j", text="!"), LinkChanged("lost", "Lost.")):
        history.effects.clear()
        assert Redraw() in history(event).effects
    history.effects.clear()
    assert history(LinkChanged("lost", "Lost.")).effects == []  # nothing new


def test_nothing_is_known_at_first() -> None:
    assert Session().life == NOTHING_YET and isinstance(NOTHING_YET, Life)
    assert Session().active_job is None and not Session().is_connected
