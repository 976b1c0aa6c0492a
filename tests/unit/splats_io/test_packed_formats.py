"""compressed.ply, .splat and .ksplat: no more is lost than their steps force, and others read and write the same."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.splats.io import SplatContent, read_splats, sniff_format, write_splats
from backend.splats.io.spatial_order import morton_order
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import assert_within, made_cloud, worst_errors
from tests.unit.splats_io.oracles import as_splat_transform_reads, splat_transform

# What the widest chunk of a made cloud loses: half a step of 11 or 10 bits of its size, and so on.
COMPRESSED = {"means": 4e-3, "log_scales": 4e-3, "opacity": 2.1e-3, "rotation": 0.28, "color": 8e-3, "sh": 0.017}
EXACT = {"means": 2e-6, "log_scales": 4e-6, "opacity": 2e-6, "rotation": 1e-3, "color": 2e-6, "sh": 1e-6}
# 128 steps of a rotation's component to one; 8 bits of colour and opacity.
SPLAT = {"means": 0, "log_scales": 1e-6, "opacity": 2e-3, "rotation": 0.9, "color": 0.5001 / 255 / C0, "sh": 0}
RECORDS = (44, 24, 24), (80, 42, 33), (140, 72, 48)  # bytes of a splat in a .ksplat by SH degree and level


# ---- compressed.ply


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("n", [0, 1, 256, 5000])
def test_a_compressed_ply_loses_only_what_its_bits_force(tmp_path: Path, n: int, degree: int) -> None:
    cloud = made_cloud(n, degree)
    write_splats(tmp_path / "a.compressed.ply", SplatContent(cloud, antialiased=True))
    content = read_splats(tmp_path / "a.compressed.ply")
    assert sniff_format(tmp_path / "a.compressed.ply").name == "compressed.ply"
    assert content.antialiased and content.cloud.sh_degree == degree and len(content) == n
    if n:
        assert_within(content.cloud, cloud.select(morton_order(cloud.means)), COMPRESSED)


def test_a_fifth_band_is_cut_to_what_the_format_holds(tmp_path: Path) -> None:
    write_splats(tmp_path / "a.compressed.ply", SplatContent(made_cloud(20, 4)))
    assert read_splats(tmp_path / "a.compressed.ply").cloud.sh_degree == 3


def test_chunks_without_a_range_of_colours_are_read(tmp_path: Path) -> None:
    """As written before 2024: 12 floats a chunk, colours from 0 to 1."""
    write_splats(tmp_path / "new.compressed.ply", SplatContent(made_cloud(300, 0)))
    content = (tmp_path / "new.compressed.ply").read_bytes()
    head, body = content.split(b"end_header\n", 1)
    ranges = np.frombuffer(body[: 2 * 72], "<f4").reshape(2, 18)
    for name in (b"min_r", b"min_g", b"min_b", b"max_r", b"max_g", b"max_b"):
        head = head.replace(b"property float " + name + b"\n", b"")
    (tmp_path / "old.compressed.ply").write_bytes(head + b"end_header\n" + ranges[:, :12].tobytes() + body[2 * 72 :])
    old = read_splats(tmp_path / "old.compressed.ply").cloud
    new = read_splats(tmp_path / "new.compressed.ply").cloud
    packed = np.frombuffer(body[2 * 72 :], "<u4").reshape(300, 4)
    np.testing.assert_allclose(old.sh[:, 0, 0] * C0 + 0.5, (packed[:, 3] >> 24) / 255, atol=1e-6)
    np.testing.assert_array_equal(old.means, new.means)
    np.testing.assert_array_equal(old.opacity_logits, new.opacity_logits)


@pytest.mark.parametrize("degree", range(4))
def test_a_compressed_ply_is_one_to_others(tmp_path: Path, degree: int) -> None:
    cloud = made_cloud(700, degree)
    ours, plain, theirs = tmp_path / "ours.compressed.ply", tmp_path / "a.ply", tmp_path / "theirs.compressed.ply"
    write_splats(ours, SplatContent(cloud))
    assert_within(read_splats(ours).cloud, as_splat_transform_reads(ours, tmp_path), EXACT)
    write_splats(plain, SplatContent(cloud))
    splat_transform(plain, theirs)
    assert_within(read_splats(theirs).cloud, as_splat_transform_reads(theirs, tmp_path), EXACT)


@pytest.mark.parametrize("name", ["toycat.compressed.ply", "guitar.compressed.ply", "train-1000.ply"])
def test_files_of_others_are_read_as_they_read_them(
    sample_data: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    path = sample_data("splats") / name
    assert_within(read_splats(path).cloud, as_splat_transform_reads(path, tmp_path), EXACT)


# ---- .splat


def test_a_splat_file_loses_only_what_its_bytes_force(tmp_path: Path) -> None:
    cloud = made_cloud(3000, 2)
    write_splats(tmp_path / "a.splat", SplatContent(cloud))
    read = read_splats(tmp_path / "a.splat").cloud
    weight = cloud.log_scales.sum(axis=1) + np.log(1 / (1 + np.exp(-cloud.opacity_logits)))
    expected = cloud.select(np.argsort(-weight, kind="stable"))
    assert read.sh_degree == 0
    clear = np.abs(expected.sh[:, 0] * C0).max(axis=1) < 0.5  # others have no byte
    whole = SplatCloud(
        expected.means, expected.quats, expected.log_scales, expected.opacity_logits, expected.sh[:, :1].copy()
    )
    assert clear.sum() > 2500
    assert_within(read.select(clear), whole.select(clear), SPLAT)


@pytest.mark.parametrize("name", ["jl.splat", "chair.splat", "tiny/minimal.splat"])
def test_splat_files_of_others_are_read_as_they_read_them(
    sample_data: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    path = sample_data("splats") / name
    # They take 127.5 for a rotation's zero, where the writers of the format take 128.
    assert_within(read_splats(path).cloud, as_splat_transform_reads(path, tmp_path), EXACT | {"rotation": 0.91})


# ---- .ksplat


def ksplat(cloud: SplatCloud, level: int, *, bucket: int = 100) -> bytes:
    """Two full buckets and smaller ones, in one section, after the layout of SplatBuffer.js."""
    n, degree = len(cloud), cloud.sh_degree
    harmonics = [
        cloud.sh[:, band * band : (band + 1) ** 2].transpose(0, 2, 1).reshape(n, -1) for band in range(1, degree + 1)
    ]
    sh = np.concatenate(harmonics, axis=1) if degree else np.zeros((n, 0))
    opacity = 1 / (1 + np.exp(-cloud.opacity_logits[:, None]))
    colors = np.rint(np.concatenate([cloud.sh[:, 0] * C0 + 0.5, opacity], axis=1).clip(0, 1) * 255).astype("u1")
    sizes = [bucket] * 2 + [n - 2 * bucket - 30, 30]
    starts = np.cumsum([0, *sizes])
    centres = np.array([cloud.means[a:b].mean(axis=0) for a, b in pairwise(starts)], "<f4")
    block, steps = 12.0, 32767
    number = "<f4" if level == 0 else "<f2"
    means = cloud.means.astype("<f4")
    if level:
        offsets = (cloud.means - np.repeat(centres, sizes, axis=0)) / (block / 2 / steps) + steps
        means = np.rint(offsets).astype("<u2")
    rest = sh.astype(number) if level < 2 else np.rint((sh + 1.5) / 3 * 255).astype("u1")
    columns = (means, np.exp(cloud.log_scales).astype(number), cloud.quats.astype(number), colors, rest)
    rows = np.concatenate([np.ascontiguousarray(column).view("u1").reshape(n, -1) for column in columns], axis=1)
    assert rows.shape[1] == RECORDS[degree][level]
    head = struct.pack("<BBxxIIIIHxx3fff", 0, 1, 1, 1, n, n, level, 0, 0, 0, -1.5, 1.5).ljust(4096, b"\0")
    section = struct.pack("<IIIIfHxxIxxxxIIH", n, n, bucket, len(sizes), block, 12, steps, 2, 2, degree)
    partial = np.array(sizes[2:], "<u4").tobytes()
    return head + section.ljust(1024, b"\0") + partial + centres.tobytes() + rows.tobytes()


@pytest.mark.parametrize("degree", range(3))
@pytest.mark.parametrize("level", range(3))
def test_a_ksplat_of_every_level_is_read(tmp_path: Path, level: int, degree: int) -> None:
    cloud = made_cloud(300, degree)
    clear = np.argsort(np.abs(cloud.sh[:, 0]).max(axis=1))[:300]
    cloud = cloud.select(clear)
    cloud.sh[:, 0] = cloud.sh[:, 0].clip(-0.5 / C0, 0.5 / C0)
    (tmp_path / "a.ksplat").write_bytes(ksplat(cloud, level))
    read = read_splats(tmp_path / "a.ksplat").cloud
    number = 1e-6 if level == 0 else 6e-4  # half floats have 11 bits
    sh = (1e-6, 6e-4, 1.5 / 255 + 1e-6)[level]
    limits = {"means": 0 if level == 0 else 12 / 65534, "log_scales": number, "opacity": 2e-3, "rotation": 200 * number}
    assert_within(read, cloud, limits | {"color": 0.5001 / 255 / C0, "sh": sh})
    (tmp_path / "b.ksplat").write_bytes(ksplat(cloud, level))
    theirs = as_splat_transform_reads(tmp_path / "b.ksplat", tmp_path)
    assert_within(read, theirs, EXACT)


def test_a_ksplat_of_the_format_s_own_program_is_read(sample_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = sample_data("splats") / "derived" / "toycat_c1_sh2.ksplat"
    read, theirs = read_splats(path).cloud, as_splat_transform_reads(path, tmp_path)
    flat = read.log_scales == -30  # they take e^-10 for a size of zero
    theirs.log_scales[flat] = -30
    assert len(read) == 23229 and flat.mean() < 0.2
    assert_within(read, theirs, EXACT)
    original = read_splats(sample_data("splats") / "derived" / "toycat.ply").cloud
    assert np.abs(read.means.mean(axis=0) - original.means.mean(axis=0)).max() < 0.01


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (1, b"\0", "version"),
        (4, b"\xff\xff\xff\xff", "sections begin"),
        (16, b"\x01\0\0\0", "do not hold"),
        (20, b"\x09", "level of compression"),
        (4096, b"\xff\xff\0\0", "claims to hold"),
        (4096 + 4, b"\xff\xff\xff\x7f", "last splat"),
        (4096 + 12, b"\x01\0\0\0", "last splat|not there|do not hold"),
        (4096 + 40, b"\x07", "SH degree 7"),
        (5120, b"\xff\xff\xff\xff", "do not hold"),
    ],
)
def test_a_ksplat_that_contradicts_itself_is_refused(tmp_path: Path, place: int, value: bytes, reason: str) -> None:
    content = bytearray(ksplat(made_cloud(300, 1), 1))
    content[place : place + len(value)] = value
    (tmp_path / "a.ksplat").write_bytes(content)
    with pytest.raises(UserError, match=reason):
        read_splats(tmp_path / "a.ksplat")


def test_a_splat_far_outside_is_still_one_of_a_chunk(tmp_path: Path) -> None:
    """A chunk whose splats share a coordinate has no size along it."""
    cloud = made_cloud(40, 0)
    cloud.means[:, 1] = 2.5
    cloud.log_scales[0] = 40  # beyond what the format holds
    write_splats(tmp_path / "a.compressed.ply", SplatContent(cloud))
    read = read_splats(tmp_path / "a.compressed.ply").cloud
    np.testing.assert_array_equal(read.means[:, 1], 2.5)
    assert read.log_scales.max() == 20
    assert worst_errors(read, cloud.select(morton_order(cloud.means)))["rotation"] < 0.28
