"""SPZ: what packing costs, versions, frames, and files that are not what they say."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard

from backend.splats.io import read_splats, spz, write_splats
from backend.splats.io.content import SplatContent
from backend.splats.io.frames import COMMON_FRAMES
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

# Half a step of each attribute, and a hair. Half a step of three components turns a splat by up to 2 sqrt(12) of it.
HALF_STEPS = {
    "means": 0.51 * 2**-20,
    "log_scales": 0.501 / 16,
    "opacity": 0.501 / 255,
    "rotation": np.degrees(4 * 3**0.5 * 0.501 * 0.5**0.5 / 511),
    "color": 0.501 / (0.15 * 255),
    "sh": 0.501 / 128,
}


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("version", [3, 4])
def test_what_is_written_is_read_back_within_half_a_step(tmp_path: Path, version: int, degree: int) -> None:
    cloud = made_cloud(700, degree)
    spz.write(tmp_path / "a.spz", SplatContent(cloud, "y_up", antialiased=True), version)
    read = spz.read(tmp_path / "a.spz")
    assert_within(read.cloud, cloud, HALF_STEPS)
    assert (read.frame, read.antialiased) == ("y_up", True)


@pytest.mark.parametrize("version", [3, 4])
def test_an_empty_cloud_is_a_file_too(tmp_path: Path, version: int) -> None:
    spz.write(tmp_path / "a.spz", SplatContent(made_cloud(0, 2), "y_up"), version)
    assert spz.read(tmp_path / "a.spz").cloud.sh.shape == (0, 9, 3)


def test_positions_are_as_fine_as_their_reach_allows(tmp_path: Path) -> None:
    cloud = made_cloud(300, 0)
    for factor in (1e-3, 1, 1e3, 1e6):
        far = replace(cloud, means=cloud.means * np.float32(factor))
        spz.write(tmp_path / "a.spz", SplatContent(far, "y_up"))
        step = max(2**-20, 2 * np.abs(far.means).max() * 2**-23)
        np.testing.assert_allclose(spz.read(tmp_path / "a.spz").cloud.means, far.means, atol=0.51 * step)
    with pytest.raises(UserError, match="8 million"):
        spz.write(tmp_path / "b.spz", SplatContent(replace(cloud, means=cloud.means * np.float32(1e8)), "y_up"))
    assert not (tmp_path / "b.spz").exists()


def test_fewer_bits_make_a_smaller_file_and_leave_zero_zero(tmp_path: Path) -> None:
    cloud = made_cloud(3000, 3)
    cloud.sh[:1000, 1:] = 0
    sizes = []
    for bits in ((8, 8), (5, 4)):
        spz.write(tmp_path / "a.spz", SplatContent(cloud, "y_up"), sh_bits=bits)
        sizes.append((tmp_path / "a.spz").stat().st_size)
        read = spz.read(tmp_path / "a.spz").cloud
        assert not read.sh[:1000, 1:].any()
        assert np.abs(read.sh[:, 1:4] - cloud.sh[:, 1:4]).max() < 2.0 ** -bits[0] * 1.01 + 0.004
        assert np.abs(read.sh[:, 4:] - cloud.sh[:, 4:]).max() < 2.0 ** -bits[1] * 1.01 + 0.004
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.parametrize("frame", COMMON_FRAMES)
def test_a_file_says_the_frame_that_was_chosen(tmp_path: Path, frame: str) -> None:
    content = SplatContent(made_cloud(50, 2), "opencv")
    write_splats(tmp_path / "a.spz", content, frame=frame)
    read = read_splats(tmp_path / "a.spz")
    assert read.frame == frame and not read.notes


def test_a_file_that_says_no_frame_is_y_up_with_a_word_about_it(tmp_path: Path) -> None:
    spz.write(tmp_path / "a.spz", SplatContent(made_cloud(5, 0), "y_up"), version=3)
    read = read_splats(tmp_path / "a.spz")
    assert read.frame == "y_up" and "opencv" in read.notes[0]
    assert read_splats(tmp_path / "a.spz", frame="opencv").frame == "opencv"


def test_a_frame_without_a_name_in_spz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no name for axes that point URB"):
        spz.write(tmp_path / "a.spz", SplatContent(made_cloud(5, 0), "URB"))


def test_unknown_extensions_are_passed_over(tmp_path: Path) -> None:
    spz.write(tmp_path / "a.spz", SplatContent(made_cloud(5, 0), "z_up"), version=3)
    body = zlib.decompress((tmp_path / "a.spz").read_bytes(), 31)
    cut = len(body) - 12
    stranger = struct.pack("<II", 0xADBE0002, 12) + bytes(12)
    (tmp_path / "b.spz").write_bytes(packed(body[:cut] + stranger + body[cut:]))
    assert spz.read(tmp_path / "b.spz").frame == "z_up"


def test_the_smallest_files_of_every_version_are_read(sample_data) -> None:
    """Made by the tests of splat-transform; version 2 holds the same splats with coarser rotations."""
    folder = sample_data("splats") / "tiny"
    of = {name: spz.read(folder / f"minimal-{name}.spz").cloud for name in ("raw", "v2", "v3", "v4")}
    assert {len(cloud) for cloud in of.values()} == {4}
    np.testing.assert_array_equal(of["v3"].means, of["v4"].means)
    for cloud in of.values():
        np.testing.assert_allclose(np.linalg.norm(cloud.quats, axis=1), 1, atol=1e-3)


def test_version_2_holds_the_splats_of_the_ply_it_was_made_of(sample_data) -> None:
    folder = sample_data("splats") / "tiny"
    truth = read_splats(folder / "test-splat.3-points-from-train.ply").cloud
    read = spz.read(folder / "test-splat.3-points-from-train.spz").cloud
    signs = (read.means * truth.means > 0).all(axis=0) * 2 - 1
    np.testing.assert_allclose(read.means * signs, truth.means, atol=2**-12)
    order = np.abs(read.log_scales - truth.log_scales).max()
    assert order < 0.51 / 16


# ---- files that are not what they say


def packed(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_splats(path)
    assert path.name in caught.value.message and "\n" not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize("version", [3, 4])
def test_a_damaged_file_is_one_sentence_that_names_it(tmp_path: Path, version: int) -> None:
    spz.write(tmp_path / "a.spz", SplatContent(made_cloud(40, 1), "y_up"), version)
    content = (tmp_path / "a.spz").read_bytes()
    bad = tmp_path / "b.spz"
    for length in (3, 10, 20, 40, len(content) // 2, len(content) - 1):
        refused(bad, content[:length])
    body = content if version == 4 else zlib.decompress(content, 31)
    again = bytes if version == 4 else packed
    for count in (41, 2**20, 2**32 - 1):
        refused(bad, again(body[:8] + struct.pack("<I", count) + body[12:]))
    assert "version 9" in refused(bad, again(body[:4] + struct.pack("<I", 9) + body[8:]))
    refused(bad, again(body[:12] + b"\x07" + body[13:]))  # SH degree
    refused(bad, again(body[:13] + b"\xff" + body[14:]))  # fraction bits


def test_other_gzip_files_are_no_splats(tmp_path: Path) -> None:
    assert "does not begin" in refused(tmp_path / "b.spz", packed(b"a letter to somebody" * 9))
    refused(tmp_path / "b.spz", b"\x1f\x8b" + bytes(40))


@pytest.mark.parametrize("version", [3, 4])
def test_a_small_file_cannot_fill_the_memory(tmp_path: Path, version: int) -> None:
    count = 20_000_000
    if version == 4:
        sizes = [count * width for width in (9, 1, 3, 3, 4)]
        part = zstandard.ZstdCompressor().compress(bytes(1 << 20))
        table = b"".join(struct.pack("<QQ", len(part), size) for size in sizes)
        head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, count, 0, 12, 0, 5, 32)
        content = head + table + part * 5
    else:
        packer = zlib.compressobj(wbits=31)
        content = packer.compress(struct.pack("<4sIIBBBB", b"NGSP", 3, count, 0, 12, 0, 0))
        content += b"".join(packer.compress(bytes(1 << 20)) for _ in range(384)) + packer.flush()
    tracemalloc.start()
    message = refused(tmp_path / "b.spz", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "claim to hold" in message and peak < 64 << 20


def test_a_stream_that_goes_on_is_not_followed(tmp_path: Path) -> None:
    body = struct.pack("<4sIIBBBB", b"NGSP", 3, 1, 0, 12, 0, 0) + bytes(20)
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(body) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    tracemalloc.start()
    assert "more than it says" in refused(tmp_path / "b.spz", content)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
