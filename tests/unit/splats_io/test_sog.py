"""SOG: what packing costs, one file or a folder, and files that are not what they say."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.splats.io import read_splats, sog, write_splats
from backend.splats.io.codebooks import codebook_of, palette_of
from backend.splats.io.content import SplatContent
from backend.splats.io.spatial_order import morton_order
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

# Codebooks of 256 numbers for what the made clouds spread over 6 units of log scale, 3.4 of colour and 1.8 of SH.
MOST = {
    "means": 2e-4,
    "log_scales": 0.05,
    "opacity": 0.501 / 255,
    "rotation": np.degrees(4 * 3**0.5 * 0.501 * 2**0.5 / 255),
    "color": 0.03,
    "sh": 0.12,
}


@pytest.mark.parametrize("name", ["a.sog", "meta.json"])
@pytest.mark.parametrize("degree", range(4))
def test_what_is_written_is_read_back_within_its_codebooks(tmp_path: Path, name: str, degree: int) -> None:
    cloud = made_cloud(900, degree)
    write_splats(tmp_path / name, SplatContent(cloud, antialiased=True))
    read = read_splats(tmp_path / name)
    assert_within(read.cloud, cloud.select(morton_order(cloud.means)), MOST)
    assert (read.frame, read.antialiased) == ("opencv", True) and "y up" in read.notes[0]


@pytest.mark.parametrize("count", [0, 1, 2, 255])
@pytest.mark.parametrize("name", ["a.sog", "meta.json"])
def test_few_splats_are_exact_but_for_bytes(tmp_path: Path, name: str, count: int) -> None:
    cloud = made_cloud(min(count, 80), 2)
    sog.write(tmp_path / name, SplatContent(cloud))
    read = sog.read(tmp_path / name).cloud
    order = morton_order(cloud.means)
    assert read.sh.shape[0] == len(cloud)
    np.testing.assert_array_equal(read.log_scales, cloud.log_scales[order])


def test_higher_bands_than_sog_holds_are_left_out(tmp_path: Path) -> None:
    write_splats(tmp_path / "a.sog", SplatContent(made_cloud(40, 4)))
    assert read_splats(tmp_path / "a.sog").cloud.sh_degree == 3


def test_the_same_cloud_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.sog", "b.sog"):
        sog.write(tmp_path / name, SplatContent(made_cloud(300, 1)))
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


def test_a_folder_written_anew_holds_only_the_new_scene(tmp_path: Path) -> None:
    sog.write(tmp_path / "meta.json", SplatContent(made_cloud(50, 2)))
    (tmp_path / "readme.txt").write_text("mine")
    sog.write(tmp_path / "meta.json", SplatContent(made_cloud(60, 0)))
    assert len(sog.read(tmp_path / "meta.json")) == 60
    assert len(list(tmp_path.glob("*.webp"))) == 5 and (tmp_path / "readme.txt").exists()


def test_a_folder_stays_whole_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sog.write(tmp_path / "meta.json", SplatContent(made_cloud(50, 2)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    written = []

    def full_disk(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise UserError("disk_full", "The disk is full.")
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr(sog, "write_bytes", full_disk)
    with pytest.raises(UserError, match="full"):
        sog.write(tmp_path / "meta.json", SplatContent(made_cloud(60, 0)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_of_other_tools_agree(sample_data) -> None:
    folder = sample_data("splats")
    angel = read_splats(folder / "angel.sog")
    assert (len(angel), angel.cloud.sh_degree) == (71359, 0)
    playbot = read_splats(folder / "playbot_unbundled_sog_sh2" / "meta.json")
    assert (len(playbot), playbot.cloud.sh_degree) == (125_000, 2)


# ---- codebooks


def test_a_codebook_of_few_numbers_is_exact() -> None:
    values = np.random.default_rng(0).choice(np.float32([-3, 0.25, 8, 9]), (50, 3))
    book, indices = codebook_of(values)
    np.testing.assert_array_equal(book[indices], values)
    assert len(book) == 256 and (np.diff(book) >= 0).all()


def test_a_codebook_is_better_than_even_steps() -> None:
    values = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    book, indices = codebook_of(values)
    step = (values.max() - values.min()) / 255
    assert np.square(book[indices] - values).mean() < 0.6 * step**2 / 12


@pytest.mark.parametrize("pairs", [1 << 12, 1 << 20])
def test_a_palette_finds_the_vectors_that_are_repeated(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """Also where the search is divided into branches, which few pairs force."""
    from backend.splats.io import codebooks

    monkeypatch.setattr(codebooks, "_MOST_PAIRS", pairs)
    monkeypatch.setattr(codebooks, "_BRANCHES", 8)
    random = np.random.default_rng(0)
    true = random.normal(size=(40, 9)).astype(np.float32)
    vectors = true[random.integers(0, 40, 6000)] + random.normal(scale=1e-3, size=(6000, 9)).astype(np.float32)
    palette, labels = palette_of(vectors, 160)
    assert len(palette) <= 160
    assert np.square(palette[labels] - vectors).mean() < 1e-3 * np.square(vectors).mean()


def test_a_palette_of_enough_entries_is_exact() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 9)).astype(np.float32)
    palette, labels = palette_of(vectors, 64)
    np.testing.assert_array_equal(palette[labels], vectors)


# ---- files that are not what they say


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_splats(path)
    assert path.name in caught.value.message and "\n" not in str(caught.value)
    return caught.value.message


def changed(path: Path, **parts: bytes | None) -> Path:
    """A copy of the archive with other parts; dots in names are written __."""
    target = path.with_name("changed.sog")
    new = {name.replace("__", "."): content for name, content in parts.items()}
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as archive:
        for name in dict.fromkeys([*old.namelist(), *new]):
            content = new.get(name, b"") if name in new else old.read(name)
            if content is not None:
                archive.writestr(name, content)
    return target


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    sog.write(tmp_path / "a.sog", SplatContent(made_cloud(200, 2)))
    return tmp_path / "a.sog"


def meta_with(path: Path, **values: object) -> bytes:
    with zipfile.ZipFile(path) as archive:
        meta = json.loads(archive.read("meta.json"))
    for place, value in values.items():
        *way, last = place.split("__")
        at = meta
        for step in way:
            at = at[step]
        at[last] = value
    return json.dumps(meta).encode()


@pytest.mark.parametrize(
    "values",
    [
        {"count": -1},
        {"count": 4_000_000_000},
        {"count": 20_000},
        {"count": "many"},
        {"version": 3},
        {"version": None},
        {"means__files": ["means_l.webp"]},
        {"means__mins": [0, 1]},
        {"scales__codebook": [1.0, 2.0]},
        {"scales__codebook": []},
        {"quats__files": ["sh0.webp"]},
        {"quats__files": ["absent.webp"]},
        {"shN__count": 3},
        {"shN__bands": 3},
        {"shN__bands": 9},
        {"sh0__files": ["../../etc/passwd"]},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_one_sentence(archive: Path, values: dict[str, object]) -> None:
    refused(changed(archive, meta__json=meta_with(archive, **values)))


def test_broken_pictures_are_one_sentence(archive: Path) -> None:
    with zipfile.ZipFile(archive) as whole:
        picture = whole.read("quats.webp")
    for content in (None, b"", b"GIF89a" + bytes(30), picture[: len(picture) // 2], picture[:40]):
        assert "quats.webp" in refused(changed(archive, quats__webp=content))


def test_broken_archives_are_one_sentence(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    for length in (30, 500, len(content) - 30):
        (tmp_path / "b.sog").write_bytes(content[:length])
        refused(tmp_path / "b.sog")
    refused(changed(archive, meta__json=b"{"))
    refused(changed(archive, meta__json=None))
    assert "outside" in refused(changed(archive, **{"../evil__webp": b"x"}))


def test_a_folder_names_no_files_outside_of_it(tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    sog.write(tmp_path / "scene" / "meta.json", SplatContent(made_cloud(20, 0)))
    meta = json.loads((tmp_path / "scene" / "meta.json").read_text())
    (tmp_path / "scene" / "quats.webp").rename(tmp_path / "quats.webp")
    refused(tmp_path / "scene" / "meta.json")
    for name in ("../quats.webp", str(tmp_path / "quats.webp"), "..\\quats.webp", "C:quats.webp"):
        meta["quats"]["files"] = [name]
        (tmp_path / "scene" / "meta.json").write_text(json.dumps(meta))
        assert "outside" in refused(tmp_path / "scene" / "meta.json")


def test_small_files_cannot_fill_the_memory(archive: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8000, 8000)).save(stream, "WEBP", lossless=True)
    assert len(stream.getvalue()) < 2_000_000
    assert "pixels" in refused(changed(archive, quats__webp=stream.getvalue()))
    bomb = archive.with_name("bomb.sog")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("meta.json", b" " * (64 << 20))
    assert "claim to hold" in refused(bomb)


def test_older_and_streamed_scenes_are_named_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"means": {"shape": [3, 3], "files": []}}')
    assert "version 1" in refused(tmp_path / "meta.json")
    (tmp_path / "lod-meta.json").write_text('{"version": 1, "lodLevels": 3, "means": 1}')
    assert "streamed" in refused(tmp_path / "lod-meta.json")
