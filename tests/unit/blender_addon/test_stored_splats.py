"""Copies of splats as Blender draws them, read from files that the backend has written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.jobs.splat_files import write_splat_file
from backend.splats.cloud import SplatCloud
from backend.splats.io import SplatContent
from backend.splats.quaternions import quats_to_matrices
from blender_addon.core import stored_splats
from shared_protocol.errors import UserError

COUNT = 60


def made_cloud(degree: int, seed: int = 0) -> SplatCloud:
    random = np.random.default_rng(seed)
    arrays = (
        random.normal(size=(COUNT, 3)),
        random.normal(size=(COUNT, 4)),
        random.uniform(-4, 1, size=(COUNT, 3)),
        random.normal(scale=3, size=COUNT),
        random.normal(size=(COUNT, (degree + 1) ** 2, 3)),
    )
    return SplatCloud(*(array.astype(np.float32) for array in arrays))


def weights(cloud: SplatCloud) -> np.ndarray:
    sizes = np.sort(np.exp(cloud.log_scales.astype(np.float64)), 1)
    return sizes[:, 1] * sizes[:, 2] / (1 + np.exp(-cloud.opacity_logits.astype(np.float64)))


@pytest.mark.parametrize("suffix", [".ply", ".safetensors"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_what_the_backend_writes_is_read_the_weightiest_first(tmp_path: Path, suffix: str, degree: int) -> None:
    cloud, path = made_cloud(degree), tmp_path / f"copy{suffix}"
    write_splat_file(path, SplatContent(cloud))
    read = stored_splats.read(path, COUNT)
    order = np.argsort(-weights(cloud))
    assert read.total == len(read) == COUNT
    np.testing.assert_array_equal(read.means, cloud.means[order])
    np.testing.assert_array_equal(read.sh, cloud.sh[order][:, :16])
    np.testing.assert_allclose(read.opacities, 1 / (1 + np.exp(-cloud.opacity_logits[order])), rtol=1e-6)
    axes = quats_to_matrices(cloud.quats[order]) * np.exp(cloud.log_scales[order])[:, None]
    whole = axes @ axes.transpose(0, 2, 1)
    upper = whole[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    np.testing.assert_allclose(read.covariances, upper, rtol=1e-4, atol=1e-5 * np.abs(upper).max())


@pytest.mark.parametrize("suffix", [".ply", ".safetensors"])
def test_no_more_than_wanted_are_read(tmp_path: Path, suffix: str) -> None:
    cloud, path = made_cloud(1), tmp_path / f"copy{suffix}"
    write_splat_file(path, SplatContent(cloud))
    read = stored_splats.read(path, 10)
    assert (len(read), read.total) == (10, COUNT)
    np.testing.assert_array_equal(read.means, cloud.means[np.argsort(-weights(cloud))[:10]])


@pytest.mark.parametrize("antialiased", [False, True])
def test_how_splats_want_to_be_drawn_is_read(tmp_path: Path, antialiased: bool) -> None:
    path = tmp_path / "copy.safetensors"
    write_splat_file(path, SplatContent(made_cloud(0), antialiased=antialiased))
    assert stored_splats.read(path, COUNT).antialiased is antialiased


def test_broken_splats_are_left_out_and_infinite_opacities_are_whole(tmp_path: Path) -> None:
    cloud = made_cloud(1)
    means, quats, logits = cloud.means.copy(), cloud.quats.copy(), cloud.opacity_logits.copy()
    means[3], logits[7], quats[11] = np.nan, np.inf, 0
    write_splat_file(
        tmp_path / "copy.ply", SplatContent(replace(cloud, means=means, quats=quats, opacity_logits=logits))
    )
    read = stored_splats.read(tmp_path / "copy.ply", COUNT)
    assert (len(read), read.total) == (COUNT - 1, COUNT)
    assert read.opacities.max() == pytest.approx(1)
    assert all(np.isfinite(array).all() for array in (read.means, read.covariances, read.opacities, read.sh))


def test_an_empty_copy_has_no_splats(tmp_path: Path) -> None:
    write_splat_file(tmp_path / "copy.ply", SplatContent(made_cloud(0).select(np.zeros(0, int))))
    assert len(stored_splats.read(tmp_path / "copy.ply", COUNT)) == 0


@pytest.mark.parametrize("suffix", [".ply", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 3, 100, 1500, -1])
def test_a_copy_that_was_cut_off_is_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"copy{suffix}"
    write_splat_file(path, SplatContent(made_cloud(1)))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="damaged") as told:
        stored_splats.read(path, COUNT)
    assert told.value.kind == "bad_input" and str(path) in str(told.value)


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        (b"format binary_little_endian", b"format binary_big_endian"),
        (b"element vertex 60", b"element vertex -6"),
        (b"element vertex 60", b"element vertex x"),
        (b"element vertex 60", b"element vertex 99999999999999999999"),
        (b"property float opacity", b"property float capacity"),
        (b"property float opacity", b"property list uchar int opacity"),
        (b"property float opacity", b"property words opacity"),
        (b"property float opacity", b"property float rot_0"),
        (b"property float f_rest_0\n", b"property float g_rest_0\n"),
        (b"property float f_rest_0\n", b"property float f_rest_9\n"),
        (b"property float nx\n", b"property float x\n"),
        (b"ply\n", b"\xff\xfe\n"),
    ],
)
def test_a_header_that_is_none_of_ours_is_refused(tmp_path: Path, was: bytes, is_now: bytes) -> None:
    path = tmp_path / "copy.ply"
    write_splat_file(path, SplatContent(made_cloud(1)))
    content = path.read_bytes()
    assert was in content
    path.write_bytes(content.replace(was, is_now, 1))
    with pytest.raises(UserError, match="damaged"):
        stored_splats.read(path, COUNT)


def test_a_missing_copy_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        stored_splats.read(tmp_path / "copy.ply", COUNT)
    assert told.value.kind == "not_found"
