"""A real disk that is really full: the job fails in words, nothing half-written stays, and it can be resumed."""

from __future__ import annotations

from pathlib import Path

from tests.unit.small_disk import run_on_small_disk


def test_a_full_disk_costs_a_resume(tiny_capture: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("full_disk_process.py")
    said = run_on_small_disk(script, tmp_path / "disk", "1m", tiny_capture)
    assert "The disk is full" in said["refused"] and "The disk is full" in said["failed"] and int(said["splats"]) > 0
