"""A real disk that is really full: an upload fails in words, and goes on when there is space again."""

from __future__ import annotations

from pathlib import Path

from shared_protocol.messages import CHUNK_BYTES
from tests.unit.small_disk import run_on_small_disk


def test_a_full_disk_costs_an_upload_only_a_pause(tmp_path: Path) -> None:
    said = run_on_small_disk(Path(__file__).with_name("full_disk_upload.py"), tmp_path / "disk", "12m")
    assert (said["failed"], said["refused"], said["whole"]) == ("disk_full", "disk_full", "yes")
    # What was answered is here; of the chunk that failed, what fitted may be.
    for offset in ("offset in the same process", "offset after a restart"):
        assert CHUNK_BYTES <= int(said[offset]) < 2 * CHUNK_BYTES
