"""Compiled loops give what numpy gives, to the last bit, and are used only where numba is loaded anyhow."""

from __future__ import annotations

import sys
from pathlib import Path

import numba  # noqa: F401  from here on the loops are used
import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.splats.io import compressed_packing
from backend.splats.io.compiled import compiled_loops
from backend.splats.io.compiled_loops import unpack_words
from backend.splats.io.content import SplatContent
from backend.splats.io.formats import read_splats, write_splats


def made(degree: int) -> SplatCloud:
    random = np.random.default_rng(3)
    n, k = 5000, (degree + 1) ** 2
    shapes = ((n, 3), (n, 4), (n, 3), (n,), (n, k, 3))
    return SplatCloud(*(random.normal(scale=2, size=shape).astype(np.float32) for shape in shapes))


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("kind", ["compressed.ply", "spz"])
def test_a_file_is_read_alike_with_and_without_compiled_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, degree: int
) -> None:
    path = tmp_path / f"a.{kind}"
    write_splats(path, SplatContent(made(degree)))
    assert compiled_loops() is not None
    compiled = read_splats(path).cloud
    monkeypatch.delitem(sys.modules, "numba")
    assert compiled_loops() is None
    plain = read_splats(path).cloud
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert np.array_equal(getattr(compiled, name), getattr(plain, name)), name


def test_old_chunks_without_ranges_of_colours_are_read_alike() -> None:
    random = np.random.default_rng(4)
    words = random.integers(0, 2**32, (700, 4), dtype=np.uint32)
    ranges = random.normal(size=(3, 2, 2, 3)).astype(np.float32)
    found = []
    for unpack in (compressed_packing._unpack_words, unpack_words):
        outs = [np.empty((700, width), np.float32) for width in (3, 4, 3, 3)]
        unpack(words, ranges, *outs)
        found.append(outs)
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
