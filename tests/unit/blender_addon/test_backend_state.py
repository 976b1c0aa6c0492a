"""Every transition of the backend's nine states as one table."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from blender_addon.core.backend_state import (
    NOTHING_YET,
    Environment,
    InstallEnded,
    InstallWent,
    LifeChanged,
    LinkChanged,
    Mode,
    ProcessEnded,
    StartAsked,
    State,
    StopAsked,
    Surveyed,
    after,
)

STATES = get_args(State)
START, CONNECT = "splatwright.backend_start", "splatwright.backend_connect"
STOP, REPAIR = "splatwright.backend_stop", "splatwright.backend_repair"
INSTALL, CANCEL = "splatwright.backend_install", "splatwright.backend_cancel_install"

OURS, FOUND, ELSEWHERE = StartAsked("local", True), StartAsked("local", False), StartAsked("remote", False)
READY, BUSY, LOST = LinkChanged("connected"), LinkChanged("busy"), LinkChanged("lost", "It was lost.")
GONE, REFUSED = LinkChanged("absent", "It ended.", gone=True), LinkChanged("refused", "Wrong version.")
SILENT = LinkChanged("absent", "Nothing answers.")


def local(environment: Environment = "whole", why: str = "") -> Surveyed:
    return Surveyed("local", environment, why)


# What happened, the state that it ends in, its button, and a word of the sentence.
TABLE: list[tuple[list[LifeChanged | LinkChanged], State, str, str]] = [
    ([local("missing")], "not_installed", INSTALL, "not installed"),
    ([local("broken", "Its Python is gone.")], "broken", REPAIR, "Its Python is gone."),
    ([local()], "stopped", START, "not running"),
    ([Surveyed("running", "missing")], "stopped", CONNECT, "not connected"),
    ([Surveyed("remote", "missing")], "stopped", CONNECT, "other machine"),
    # installing
    ([local("missing"), InstallWent("Downloading torch.", 0.4)], "installing", CANCEL, "torch"),
    ([InstallWent("Downloading torch.", 0.4), InstallEnded("whole")], "stopped", START, "not running"),
    ([InstallWent("…"), InstallEnded("broken", "It was cancelled half-way.")], "broken", REPAIR, "half-way"),
    ([InstallWent("…"), InstallEnded("missing", "There is no network.")], "not_installed", INSTALL, "network"),
    ([InstallWent("…", 0.4), local("broken")], "installing", CANCEL, "…"),
    ([local(), InstallWent("Removing."), InstallEnded("missing")], "not_installed", INSTALL, "not installed"),
    # a backend of ours
    ([local(), OURS], "starting", STOP, "starting"),
    ([local(), OURS, SILENT], "starting", STOP, "starting"),
    ([local(), OURS, GONE], "starting", STOP, "starting"),  # the file of one before it
    ([local(), OURS, ProcessEnded("numpy is missing.")], "failed", START, "numpy is missing."),
    ([local(), OURS, REFUSED], "failed", START, "Wrong version."),
    ([local(), OURS, READY], "running", STOP, "ready"),
    ([local(), OURS, READY, BUSY], "busy", STOP, "busy"),
    ([local(), OURS, READY, BUSY, READY], "running", STOP, "ready"),
    ([local(), OURS, READY, LOST], "lost", STOP, "It was lost."),
    ([local(), OURS, READY, LOST, SILENT], "lost", STOP, "It was lost."),
    ([local(), OURS, READY, LOST, GONE], "lost", STOP, "It was lost."),  # the end of its process tells
    ([local(), OURS, READY, LOST, READY], "running", STOP, "ready"),
    ([local(), OURS, READY, LOST, ProcessEnded("It died 4 times.")], "failed", START, "It died 4 times."),
    ([local(), OURS, READY, ProcessEnded()], "stopped", START, "not running"),
    ([local(), OURS, READY, StopAsked()], "stopped", START, "not running"),
    ([local(), OURS, StopAsked()], "stopped", START, "not running"),
    ([local(), OURS, READY, LinkChanged("closed")], "failed", START, "broke"),
    ([local(), OURS, READY, local("broken", "Half of it is gone."), StopAsked()], "broken", REPAIR, "not whole"),
    ([local(), OURS, ProcessEnded("No."), OURS, READY], "running", STOP, "ready"),
    ([local(), OURS, ProcessEnded("No."), local()], "failed", START, "No."),
    ([local(), OURS, ProcessEnded("No."), local("broken", "Gone.")], "broken", REPAIR, "Gone."),
    ([local(), OURS, ProcessEnded("No."), Surveyed("remote", "whole")], "failed", CONNECT, "No."),
    # one that somebody else started
    ([local(), FOUND, READY], "running", STOP, "ready"),
    ([local(), FOUND, READY, LOST], "lost", START, "It was lost."),
    ([local(), FOUND, READY, LOST, GONE], "failed", START, "It ended."),
    ([local(), FOUND, READY, LOST, LinkChanged("absent", "", gone=True)], "failed", START, "could not"),
    ([local("missing"), FOUND, READY, StopAsked()], "not_installed", INSTALL, "not installed"),
    ([Surveyed("running", "missing"), StartAsked("running", False), GONE], "failed", CONNECT, "It ended."),
    # one on another machine
    ([Surveyed("remote", "missing"), ELSEWHERE], "starting", STOP, "other machine"),
    ([ELSEWHERE, SILENT], "starting", STOP, "Nothing answers. Trying again."),
    ([ELSEWHERE, LOST], "starting", STOP, "It was lost. Trying again."),
    ([ELSEWHERE, SILENT, READY], "running", STOP, "other machine"),
    ([ELSEWHERE, REFUSED], "failed", CONNECT, "Wrong version."),
    ([ELSEWHERE, READY, LOST], "lost", CONNECT, "It was lost."),
    ([ELSEWHERE, READY, SILENT], "lost", CONNECT, "Nothing answers."),
    ([ELSEWHERE, READY, StopAsked()], "stopped", CONNECT, "not connected"),
    # what comes too late
    ([local(), LOST], "stopped", START, "not running"),
    ([local(), GONE], "stopped", START, "not running"),
    ([local(), LinkChanged("closed")], "stopped", START, "not running"),
    ([local(), LinkChanged("connecting")], "stopped", START, "not running"),
]  # fmt: skip


@pytest.mark.parametrize(("happened", "state", "operator", "word"), TABLE)
def test_transition(happened: list[LifeChanged | LinkChanged], state: State, operator: str, word: str) -> None:
    life = NOTHING_YET
    for event in happened:
        life = after(life, event)
    assert (life.state, life.button and life.button.operator) == (state, operator)
    assert word in life.sentence and life.sentence.endswith((".", "…"))
    assert (life.progress is not None) <= (state == "installing")


def test_the_table_reaches_every_state() -> None:
    assert {state for _, state, _, _ in TABLE} == set(STATES)


@pytest.mark.parametrize(
    "event", [READY, BUSY, LOST, GONE, SILENT, REFUSED, OURS, FOUND, StopAsked(), ProcessEnded("No.")]
)
@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_sentence_and_one_button_whatever_happens(
    state: State, mode: Mode, event: LifeChanged | LinkChanged
) -> None:
    life = after(msgspec.structs.replace(NOTHING_YET, state=state, mode=mode), event)
    assert life.state in STATES and life.sentence and life.button is not None
    assert life.button.operator.startswith("splatwright.backend_") and life.button.label


def test_only_what_we_started_can_be_stopped() -> None:
    labels = {}
    for started in (OURS, FOUND, ELSEWHERE):
        button = after(after(NOTHING_YET, started), READY).button
        labels[started] = button and button.label
    assert labels == {OURS: "Stop", FOUND: "Disconnect", ELSEWHERE: "Disconnect"}


def test_how_far_an_installation_is_can_be_seen() -> None:
    life = after(NOTHING_YET, InstallWent("Downloading torch.", 0.4))
    assert life.progress == 0.4 and life.sentence == "Downloading torch."
    assert after(life, InstallEnded("whole")).progress is None
