"""Fixtures every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample_data() -> Callable[[str], Path]:
    """sample_data("fox_posed") is that folder of the sample data, or the test is skipped with a reason."""
    root = Path(os.environ.get("SPLATWRIGHT_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"sample data '{name}' is not here (set SPLATWRIGHT_DATA)")
        return root / name

    return find


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    from backend.splats.raster import gsplat_build  # imports torch, which most tests can do without

    state = gsplat_build.state()
    if not state.usable:
        pytest.skip(f"needs a GPU: {state.reason}")
