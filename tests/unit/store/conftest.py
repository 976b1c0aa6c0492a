"""A workspace on the disk and small clouds to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def make_cloud() -> Callable[..., SplatCloud]:
    def make(seed: int = 0, count: int = 200, degree: int = 1) -> SplatCloud:
        generator = np.random.default_rng(seed)
        shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, (degree + 1) ** 2, 3))
        return SplatCloud(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))

    return make
