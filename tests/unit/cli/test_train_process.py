"""The command `train` in processes of its own: exit codes, Ctrl-C, a sudden death, and going on after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.captures import make_capture
from backend.splats.io import describe_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent the POSIX way")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("capture") / "tiny", views=9, width=48, height=32, points=150)


def command(capture: Path, output: Path, *options: str) -> list[str]:
    report = output.with_suffix(".json")
    arguments = ["train", capture, "-o", output, "--report", report, "--device", "cpu", "--threads", "1", "--seed", "5"]
    return [sys.executable, "-m", "backend", *map(str, arguments), *options]


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_training_succeeds_and_says_how_good_it_is(capture: Path, tmp_path: Path) -> None:
    output = tmp_path / "scene.ply"
    done = subprocess.run(command(capture, output, "--steps", "15"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "scene.json").read_text())
    assert report["steps"] == 15 and report["seed"] == 5 and report["finished"] and report["threads"] == 1
    assert f"PSNR {report['psnr']:.2f} dB" in done.stderr and "15 steps" in done.stderr
    assert describe_file(output).count == report["splats"]


def test_ctrl_c_keeps_what_there_is(capture: Path, tmp_path: Path) -> None:
    output = tmp_path / "scene.ply"
    with subprocess.Popen(command(capture, output, "--steps", "1000000"), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Training"):
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert process.wait(timeout=60) == 130
    report = json.loads((tmp_path / "scene.json").read_text())
    assert not report["finished"] and report["stopped"] == "interrupted" and report["psnr"] is not None
    assert describe_file(output).count == report["splats"]
    assert "--resume" in told and "Traceback" not in told


def test_a_killed_training_goes_on_to_the_same_bytes(capture: Path, tmp_path: Path) -> None:
    # 200 steps take longer than noticing the first checkpoint, after 10 of them.
    options = ("--steps", "200", "--quiet", "--set", "checkpoint_every=0.05")
    subprocess.run(command(capture, tmp_path / "whole.ply", *options), check=True)
    output = tmp_path / "scene.ply"
    folder = tmp_path / "scene.ply.training"
    with subprocess.Popen(command(capture, output, *options)) as process:
        wait_for(lambda: any(folder.glob("step_*.json")) or process.poll() is not None)
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL, "the training was over before it could be killed"
    assert not output.exists() and not output.with_suffix(".json").exists()
    subprocess.run(command(capture, output, *options, "--resume"), check=True)
    assert output.read_bytes() == (tmp_path / "whole.ply").read_bytes()
    assert json.loads(output.with_suffix(".json").read_text())["finished"]
    assert not folder.exists()


def test_an_empty_folder_is_one_sentence_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        command(tmp_path / "empty", tmp_path / "scene.ply"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Error: " in done.stderr and "empty" in done.stderr and "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty"]
