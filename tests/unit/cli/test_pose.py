"""`pose` passes on what was found and what was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend import captures
from backend.captures import PoseResult
from backend.cli.command import run


def test_what_registered_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    asked: list[tuple[Path, bool]] = []

    def found(folder: Path, *, force: bool, on_progress) -> PoseResult:
        asked.append((folder, force))
        on_progress(1, 2)
        return PoseResult(10, 12, ("a.jpg", "b.jpg"), 0.734, False)

    monkeypatch.setattr(captures, "pose_photos", found)
    assert run(["pose", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert "Registered 10 of 12 photos, 0.73 px" in output.err and "a.jpg, b.jpg" in output.err
    assert output.out == f"{tmp_path / 'sparse' / '0'}\n"
    assert run(["pose", str(tmp_path), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unregistered"] == ["a.jpg", "b.jpg"]
    assert asked == [(tmp_path, False), (tmp_path, True)]


def test_too_few_photos_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pose", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
