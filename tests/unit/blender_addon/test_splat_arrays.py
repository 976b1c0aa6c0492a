"""The extension's files of splats, against the library that the backend reads and writes them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.store import payload
from blender_addon.core import splat_arrays
from shared_protocol.errors import UserError
from shared_protocol.messages import Splats
from tests.made_splats import sphere, with_shine


@pytest.fixture
def cloud() -> SplatCloud:
    return with_shine(sphere(count=50), 2)


def as_splats(cloud: SplatCloud) -> Splats:
    return Splats(**payload.cloud_to_arrays(cloud))


def test_what_is_written_the_backend_reads(cloud: SplatCloud, tmp_path: Path) -> None:
    splat_arrays.write(tmp_path / "ours.safetensors", as_splats(cloud))
    read = payload.read_arrays(tmp_path / "ours.safetensors")
    for name, array in payload.cloud_to_arrays(cloud).items():
        np.testing.assert_array_equal(read[name], array)
    assert [path.name for path in tmp_path.iterdir()] == ["ours.safetensors"]


def test_what_the_backend_writes_is_read_also_beside_a_binding(cloud: SplatCloud, tmp_path: Path) -> None:
    arrays = payload.with_binding(payload.cloud_to_arrays(cloud), {"faces": np.zeros(50, np.int32)})
    payload.write_arrays(tmp_path / "bound.safetensors", arrays)
    read = splat_arrays.read(tmp_path / "bound.safetensors")
    for name, array in payload.cloud_to_arrays(cloud).items():
        np.testing.assert_array_equal(getattr(read, name), array)


def test_a_file_that_is_cut_off_or_something_else_is_refused_in_a_sentence(cloud: SplatCloud, tmp_path: Path) -> None:
    path = tmp_path / "splats.safetensors"
    splat_arrays.write(path, as_splats(cloud))
    whole = path.read_bytes()
    for content in (whole[:-4], whole[:60], b"", b"ply\n" * 40, b"\xff" * 100, whole.replace(b"quats", b"quots")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"splats\.safetensors' holds no splats, or is damaged"):
            splat_arrays.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        splat_arrays.read(tmp_path / "none.safetensors")
