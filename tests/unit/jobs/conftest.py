"""A tiny capture that every training test shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.captures import make_capture


@pytest.fixture(scope="session")
def tiny_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos of 48 x 32 pixels with points, so that nothing needs to be matched; two are held out."""
    return make_capture(tmp_path_factory.mktemp("capture") / "tiny", views=9, width=48, height=32, points=150)
