"""Broken files of every format: one sentence with file and reason, no crash, bounded memory, nothing left."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import FORMATS, SplatContent, read_splats, write_splats
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import made_cloud
from tests.unit.splats_io.mutations import FileFuzzer, Seed, check_reading, seeds

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    return seeds(tmp_path_factory.mktemp("corpus"))


def path_for(seed: Seed, folder: Path) -> Path:
    return folder / f"broken{seed.suffix}"


def test_every_format_that_can_be_read_is_in_the_corpus(corpus: list[Seed], tmp_path: Path) -> None:
    suffixes = {suffix for form in FORMATS if form.can_read for suffix in form.suffixes}
    assert {seed.suffix for seed in corpus} == suffixes
    for seed in corpus:
        path = path_for(seed, tmp_path)
        path.write_bytes(seed.content)
        if seed.suffix != ".meta.json":  # its pictures lie elsewhere
            assert len(check_reading(path)) > 0, seed.name


def test_a_file_that_ends_anywhere_is_refused_or_read_in_part(corpus: list[Seed], tmp_path: Path) -> None:
    for seed in corpus:
        path = path_for(seed, tmp_path)
        for length in {*range(0, 64, 9), *np.linspace(64, len(seed.content) - 1, 12).astype(int)}:
            path.write_bytes(seed.content[:length])
            try:
                check_reading(path)
            except UserError as error:
                assert path.name in error.message and "\n" not in error.message
                continue
            # A record more or less is a whole .splat; text may lose the last digits of its last number.
            assert (seed.suffix == ".splat" and length % 32 == 0) or "text" in seed.name or ".us" in seed.suffix, (
                seed.name,
                length,
            )


def test_hundreds_of_mutated_files_do_no_harm(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fuzzer = FileFuzzer(tmp_path / "fuzz", seed=1)
    fuzzer.run(20 * len(fuzzer.seeds))
    assert fuzzer.refused.total() > 100 and fuzzer.read.total() > 50
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300  # MiB


@pytest.mark.parametrize("form", [form for form in FORMATS if form.can_read and form.can_write], ids=lambda f: f.name)
def test_no_splats_are_an_empty_file_or_one_sentence(form, tmp_path: Path) -> None:
    path = tmp_path / f"empty{form.suffixes[0]}"
    write_splats(path, SplatContent(made_cloud(0, 0)))
    try:
        assert len(read_splats(path)) == 0
    except UserError as error:
        assert "empty" in error.message


@pytest.mark.parametrize("form", [form for form in FORMATS if form.can_write], ids=lambda form: form.name)
def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(form, tmp_path: Path) -> None:
    path = tmp_path / f"kept{form.suffixes[0]}"
    path.mkdir()
    with pytest.raises(UserError, match="kept"):
        write_splats(path, SplatContent(made_cloud(30, 0)))
    assert [left.name for left in tmp_path.iterdir()] == [path.name] and list(path.iterdir()) == []


def test_a_count_beyond_the_file_takes_no_memory(corpus: list[Seed], tmp_path: Path) -> None:
    """In a process that may not have more than it has: a reader that believes the count would fail differently."""
    ply = next(seed for seed in corpus if seed.name == "ply with columns").content
    text = next(seed for seed in corpus if seed.name == "ply text").content
    packed = next(seed for seed in corpus if seed.suffix == ".compressed.ply").content
    for name, content in (("a.ply", ply), ("b.ply", text), ("c.compressed.ply", packed)):
        (tmp_path / name).write_bytes(
            content.replace(b"vertex 24\n", b"vertex 900000000\n").replace(b"chunk 1\n", b"chunk 3515625\n")
        )
        code = f"""
import resource
from pathlib import Path
from backend.splats.io import read_splats
from shared_protocol.errors import UserError
limit = 3 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_splats(Path({str(tmp_path / name)!r}))
except UserError as error:
    assert "fewer numbers" in error.message, error
else:
    raise AssertionError
"""
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
