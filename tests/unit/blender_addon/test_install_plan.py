from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from blender_addon.core.install_plan import (
    Progress,
    Source,
    after_line,
    begin_step,
    make_plan,
    requirement,
    sizes_in_words,
)
from blender_addon.core.paths import places

PLACES = places("linux", {}, PurePosixPath("/home/ada"))
INSIDE = "/home/ada/.local/share/splatwright/environment/bin/python"
PLAN = make_plan("/usr/bin/python3.11", PLACES, Source(version="0.1.0"), "linux", cuda=False)
PACKAGES = [step.name for step in PLAN.steps].index("packages")


def test_the_environment_is_made_by_the_system_python_and_all_else_by_its_own() -> None:
    first, *others = PLAN.steps
    assert first.command == ("/usr/bin/python3.11", "-m", "venv", "--clear", str(PLACES.environment))
    assert {step.command[0] for step in others} == {INSIDE}
    assert [step.name for step in PLAN.steps] == ["venv", "pip", "packages", "kernels", "check"]


def test_on_windows_the_environments_python_stands_elsewhere() -> None:
    there = places("win32", {}, PureWindowsPath(r"C:\Users\ada"))
    plan = make_plan("py.exe", there, Source(), "win32", cuda=False)
    assert plan.steps[1].command[0].endswith(r"\environment\Scripts\python.exe")


def test_a_gpu_needs_its_kernels_and_more_room() -> None:
    plan = make_plan("python", PLACES, Source(version="0.1.0"), "linux", cuda=True)
    (kernels,) = [step for step in plan.steps if step.name == "gsplat"]
    assert kernels.may_fail and plan.disk > PLAN.disk and plan.download > PLAN.download
    assert "splatwright[cuda]==0.1.0" in plan.steps[PACKAGES].command


@pytest.mark.parametrize(
    ("source", "cuda", "asked"),
    [
        (Source(version="0.1.0"), False, "splatwright==0.1.0"),
        (Source(), False, "splatwright"),
        (Source(wheel="/tmp/splatwright-0.1.0-py3-none-any.whl"), False, "/tmp/splatwright-0.1.0-py3-none-any.whl"),
        (Source(wheel="/tmp/s.whl"), True, "/tmp/s.whl[cuda]"),
        (Source(wheel="https://a.example/s.whl"), True, "splatwright[cuda] @ https://a.example/s.whl"),
    ],
)
def test_what_pip_is_asked_for(source: Source, cuda: bool, asked: str) -> None:
    assert requirement(source, cuda=cuda) == asked


def test_indexes_are_given_to_every_pip_and_none_to_a_pip_that_is_configured() -> None:
    source = Source(index="https://a.example/simple", extra_index="https://b.example/cpu")
    for step in make_plan("python", PLACES, source, "linux", cuda=False).steps:
        if "pip" in step.command:
            at = step.command.index("--index-url")
            assert step.command[at : at + 4] == ("--index-url", source.index, "--extra-index-url", source.extra_index)
    assert not [step for step in PLAN.steps if "--index-url" in step.command]


def test_nothing_is_compiled_from_a_stranger_s_source() -> None:
    command = PLAN.steps[PACKAGES].command
    assert command[command.index("--only-binary") + 1] == ":all:"


def test_sizes_are_said_before_anything_is_downloaded() -> None:
    assert sizes_in_words(PLAN) == "about 0.6 GB to download, 2.5 GB on the disk"
    assert "with CUDA only" in PLAN.note
    source = Source(extra_index="https://b.example/cpu")
    assert make_plan("python", PLACES, source, "linux", cuda=False).note == ""


# ---- how far it is


def heard(*lines: str) -> list[Progress]:
    progress = begin_step(PLAN, PACKAGES)
    return [progress := after_line(PLAN, PACKAGES, progress, line) for line in lines]


def test_steps_begin_where_the_ones_before_end() -> None:
    fractions = [begin_step(PLAN, number).fraction for number in range(len(PLAN.steps))]
    assert fractions[0] == 0 and fractions == sorted(set(fractions)) and fractions[-1] < 1


def test_downloads_are_counted_in_bytes() -> None:
    lines = [
        "Collecting torch<2.14,>=2.11 (from splatwright==0.1.0)",
        "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)",
        "Progress 29000 of 29000",
        "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (300.0 MB)",
        "Progress 150000000 of 300000000",
        "Progress 300000000 of 300000000",
        "Using cached numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (60.0 MB)",
        "Installing collected packages: numpy, torch, splatwright",
    ]
    states = heard(*lines)
    assert states[3].sentence == "Downloading torch (0 of about 600 MB)."
    assert states[4].sentence == "Downloading torch (150 of about 600 MB)."
    assert states[6].sentence == "Downloading numpy (360 of about 600 MB)."
    assert states[7].sentence == "Installing 3 packages (a minute or two)."
    fractions = [state.fraction for state in states]
    assert fractions == sorted(fractions)
    begin, end = begin_step(PLAN, PACKAGES).fraction, begin_step(PLAN, PACKAGES + 1).fraction
    assert begin < states[4].fraction < states[5].fraction < states[7].fraction < end


def test_more_bytes_than_expected_do_not_go_beyond_the_step() -> None:
    states = heard("Downloading torch-2.whl (9.0 GB)", "Progress 9000000000 of 9000000000")
    assert states[-1].fraction < begin_step(PLAN, PACKAGES + 1).fraction


@pytest.mark.parametrize("line", ["", "Progress", "Progress a of b", "Downloading", "Looking in indexes: x", "\x00"])
def test_other_lines_change_nothing(line: str) -> None:
    assert heard(line) == [begin_step(PLAN, PACKAGES)]


def test_only_pip_counts_bytes() -> None:
    progress = begin_step(PLAN, 0)
    assert after_line(PLAN, 0, progress, "Downloading torch-2.whl (9.0 GB)") == progress
