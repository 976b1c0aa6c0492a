"""A tiny capture that every training test shares, and a queue that a test plays with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.captures import make_capture
from tests.unit.jobs.queue_bench import Bench


@pytest.fixture(scope="session")
def tiny_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos of 48 x 32 pixels with points, so that nothing needs to be matched; two are held out."""
    return make_capture(tmp_path_factory.mktemp("capture") / "tiny", views=9, width=48, height=32, points=150)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "workspace")
    yield made
    made.close()
