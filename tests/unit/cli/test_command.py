"""Every way a command can end has its exit code, and nothing a user can mend shows a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from backend.cli import command, info
from backend.cli.command import run, splatwright
from backend.splats.cloud import SplatCloud
from backend.splats.io import write_cloud
from shared_protocol.errors import UserError

VERBS = ["train", "pose", "eval", "render", "convert", "edit", "mesh", "bind", "info", "methods", "doctor"]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    shapes = ((6, 3), (6, 4), (6, 3), (6,), (6, 9, 3))
    write_cloud(tmp_path / "scene.ply", SplatCloud(*(random.normal(size=s).astype(np.float32) for s in shapes)))
    return tmp_path / "scene.ply"


def test_help_names_every_verb_in_the_order_of_use() -> None:
    result = CliRunner().invoke(splatwright, ["--help"])
    assert result.exit_code == 0
    places = [result.output.index(f"\n  {verb} ") for verb in VERBS]
    assert places == sorted(places)
    assert "splatwright train photos/ -o scene.ply" in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    result = CliRunner().invoke(splatwright, [verb, "--help"])
    assert result.exit_code == 0 and f"  splatwright {verb} " in result.output
    assert CliRunner().invoke(splatwright, [verb, "-h"]).output == result.output


def test_every_option_has_a_help_text() -> None:
    for verb in splatwright.commands.values():
        for parameter in verb.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{verb.name} {parameter.opts}"


def test_info_as_json_is_one_object(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(scene), "--json"]) == 0
    output = capsys.readouterr()
    described = json.loads(output.out)
    assert (described["count"], described["sh_degree"], described["format"]) == (6, 2, "ply")
    low, high = np.array(described["bounds"])
    assert low.shape == (3,) and (low < high).all()
    assert output.err == ""


def test_info_in_words(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(scene)]) == 0
    assert "splats          6\n" in capsys.readouterr().out


def test_a_user_error_is_one_sentence_and_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(tmp_path / "absent.ply")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"Error: There is no file '{tmp_path / 'absent.ply'}'.\nCheck the path.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["info"],
        ["info", "a.ply", "--loud"],
        ["train", "photos"],
        ["train", "photos", "-o", "a.ply", "--steps", "0"],
        ["train", "photos", "-o", "a.ply", "--quality", "superb"],
        ["train", "photos", "-o", "a.ply", "--set", "sh_degree"],
        ["train", "photos", "-o", "a.ply", "--minutes", "0"],
        ["render", "a.ply", "-o", "a.png"],
        ["render", "a.ply", "-o", "a.png", "--capture", "photos"],
        ["render", "a.ply", "-o", "a.png", "--camera", "c.json", "--capture", "photos", "--view", "x"],
    ],
)
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert "Error: " in error and "Traceback" not in error


def test_our_own_mistakes_are_code_70_with_the_traceback_in_a_file(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("kaboom")

    monkeypatch.setattr(info, "describe_file", broken)
    monkeypatch.setattr(command.tempfile, "tempdir", str(tmp_path))
    assert run(["info", str(scene)]) == 70
    error = capsys.readouterr().err
    (log,) = tmp_path.glob("splatwright-*.log")
    assert str(log) in error and "Traceback" not in error
    assert "kaboom" in log.read_text() and "Traceback" in log.read_text()


@pytest.mark.parametrize(
    "error, code", [(KeyboardInterrupt(), 130), (MemoryError(), 1), (UserError("bad_input", "No.", "Do."), 1)]
)
def test_other_ends_have_their_codes(
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    def ends(path: Path) -> None:
        raise error

    monkeypatch.setattr(info, "describe_file", ends)
    assert run(["info", str(scene)]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_warnings_of_the_library_reach_the_user(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(scene.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    scene.write_bytes(content)
    assert run(["edit", "crop", str(scene), "-o", str(tmp_path / "out.ply"), "--box", "-9,-9,-9 9,9,9"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("Warning: ") and "1 of 6 splats" in said
    assert run(["info", str(scene), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 5 and told["notes"] == ["Left out 1 of 6 splats that hold NaN or Inf."]


def test_methods_and_their_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"default", "mcmc"} <= {method["id"] for method in listed}
    assert run(["methods", "mcmc", "--json"]) == 0
    settings = {s["name"]: s for s in json.loads(capsys.readouterr().out)["settings"]}
    assert settings["sh_degree"]["maximum"] == 4 and settings["seed"]["kind"] == "integer"
    assert run(["methods", "mcmc"]) == 0
    table = capsys.readouterr().out
    assert "sh_degree" in table and "whole number, 0 to 4" in table and "--set " in table
    assert run(["methods", "magic"]) == 1


def test_doctor_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"device", "gsplat", "versions", "problems", "memory_bytes", "threads", "kernels"} <= found.keys()
    assert run(["doctor"]) == 0
    assert f"device                  {found['device']}" in capsys.readouterr().out


def test_the_module_is_the_command_and_starts_without_torch(scene: Path) -> None:
    code = (
        "import sys; from backend.cli.command import run; "
        f"assert run(['info', {str(scene)!r}]) == 0; assert run(['train', '--help']) == 0; "
        "heavy = {'torch', 'numba', 'cv2', 'pycolmap'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "backend", "info", str(scene), "--json"], check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["count"] == 6


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
def test_a_reader_that_leaves_early_sees_no_complaint() -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m backend methods mcmc | true'], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
