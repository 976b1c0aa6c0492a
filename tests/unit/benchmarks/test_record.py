from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import record


def test_figures_are_written_with_where_they_were_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"splats": 1000, "ms": 1.25}, {"splats": 2000, "ms": 2.0, "note": "warm"}]
    path = record.record(
        "raster", "Ours is fast.", rows, device="cpu", settings={"seed": 3}, load_before=0.5, folder=tmp_path
    )
    assert path == tmp_path / "raster.cpu.json"
    written = json.loads(path.read_text())
    assert written["rows"] == rows
    assert written["claim"] == "Ours is fast."
    assert written["settings"] == {"seed": 3}
    assert written["device"] == "cpu"
    assert written["machine"]["cores"] >= 1
    assert written["versions"]["python"].startswith("3.")
    assert written["load_average"]["before"] == 0.5
    assert "commit" in written and written["measured"].endswith("+00:00")
    shown = capsys.readouterr().out
    assert "1.25" in shown and "warm" in shown and "note" in shown


def test_a_later_result_replaces_the_earlier_one(tmp_path: Path) -> None:
    for milliseconds in (5, 4):
        path = record.record("raster", "Ours is fast.", [{"ms": milliseconds}], device="cpu", folder=tmp_path)
    assert json.loads(path.read_text())["rows"] == [{"ms": 4}]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--seed", "--seed"),
        ("3.5", "3.5"),
        ("chair_synthetic", "chair_synthetic"),
        ("demo/quality", "demo/quality"),
        (f"{record.REPOSITORY}/demo/quality", "demo/quality"),
        (f"--pictures={record.REPOSITORY}/demo", "--pictures=demo"),
        ("/home/somebody/captures/garden", "PATH"),
        ("/home/a=b/garden", "PATH"),
        ("--folder=/dev/shm", "--folder=PATH"),
        ("../captures/garden", "PATH"),
        (f"{record.REPOSITORY}/../captures", "PATH"),
        ("~/captures", "PATH"),
        ("C:\\Users\\somebody\\captures", "PATH"),
    ],
)
def test_paths_of_the_machine_are_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, told: str
) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/raster.py", argument])
    path = record.record("raster", "Ours is fast.", [{"ms": 1}], device="cpu", folder=tmp_path)
    assert json.loads(path.read_text())["command"] == ["raster.py", told]
