from __future__ import annotations

import msgspec
import pytest

from blender_addon.core import wording
from shared_protocol.errors import UserError
from shared_protocol.things import JobState, VersionInfo


def test_figures_read_as_a_person_says_them() -> None:
    assert [wording.splats(n) for n in (1, 812, 54321, 1_250_000)] == [
        "1 splat",
        "812 splats",
        "54,321 splats",
        "1.25 million splats",
    ]
    assert [wording.size(n) for n in (0, 1, 640_000, 12_500_000, 1_200_000_000)] == [
        "0 KB",
        "1 KB",
        "640 KB",
        "12.5 MB",
        "1.2 GB",
    ]
    assert [wording.duration(s) for s in (0.2, 40, 59.6, 720, 11100)] == ["1 s", "40 s", "60 s", "12 min", "3 h 05 min"]


def test_a_running_job_says_its_stage_and_an_ended_one_how_it_ended() -> None:
    def job(status: str, stage: str = "") -> JobState:
        return JobState(job="1", name="fern", method="mcmc", status=status, stage=stage)  # type: ignore[arg-type]

    assert wording.status(job("running", "reading_photos")) == "Reading photos"
    assert wording.status(job("running")) == "Running"
    assert wording.status(job("cancelled", "training")) == "Thrown away"


def test_text_is_broken_to_the_width_of_the_panel() -> None:
    text = "The backend was ended by the system because the memory ran out."
    narrow, wide = wording.lines(text, 200), wording.lines(text, 800)
    assert len(narrow) > 2 and len(wide) == 1
    assert " ".join(narrow) == text
    assert len(wording.lines(text, 400, scale=2.0)) == len(narrow)


def test_settings_are_read_from_a_json_object_and_nothing_else() -> None:
    assert wording.settings_from_text(' {"sh_degree": 2, "grow": null} ') == {"sh_degree": 2, "grow": None}
    assert wording.settings_from_text("") == {}
    for text in ("sh_degree=2", "[1]", '{"a": [1]}'):
        with pytest.raises(UserError, match="cannot be read"):
            wording.settings_from_text(text)


def test_what_follows_a_mesh_is_said_as_far_as_it_is_known() -> None:
    version = VersionInfo(version="2", asset="a", splats=2000, bound_vertices=8)
    assert wording.following(version, "Fox") == "These splats follow 'Fox'."
    whole = msgspec.structs.replace(version, bound_splats=2000, far_splats=0)
    assert wording.following(whole, "Fox") == "2,000 of 2,000 splats follow 'Fox'."
    part = msgspec.structs.replace(version, bound_splats=1500, far_splats=20)
    assert wording.following(part, "Fox") == (
        "1,500 of 2,000 splats follow 'Fox'. 20 of them are far from it, and are not stretched with it. "
        "The others stay where they are."
    )
