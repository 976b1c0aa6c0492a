"""The folder beside the output: what is kept, what is removed, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.captures.capture import PointCloud
from backend.jobs.training_folder import TrainingFolder
from shared_protocol.errors import UserError


def with_checkpoint(tmp_path: Path) -> TrainingFolder:
    folder = TrainingFolder.beside(tmp_path / "scene.ply")
    folder.start_anew(lambda text: None)
    (folder.path / "step_00000010.json").write_text("{}")
    (folder.path / "step_00000010.safetensors").write_bytes(b"x")
    (folder.path / ".step_00000020.json.0abc.part").write_bytes(b"x")
    return folder


def test_it_stands_beside_the_output(tmp_path: Path) -> None:
    assert TrainingFolder.beside(tmp_path / "a" / "scene.ply").path == tmp_path / "a" / "scene.ply.training"


def test_nothing_to_resume_is_one_sentence(tmp_path: Path) -> None:
    folder = TrainingFolder.beside(tmp_path / "scene.ply")
    with pytest.raises(UserError, match=r"nothing to resume: .*scene\.ply\.training"):
        folder.refuse_without_checkpoint(tmp_path / "scene.ply")
    folder.start_anew(lambda text: None)
    with pytest.raises(UserError, match="nothing to resume"):
        folder.refuse_without_checkpoint(tmp_path / "scene.ply")


def test_starting_anew_says_what_it_replaces(tmp_path: Path) -> None:
    said: list[str] = []
    folder = with_checkpoint(tmp_path)
    folder.refuse_without_checkpoint(tmp_path / "scene.ply")
    folder.start_anew(said.append)
    assert len(said) == 1 and "--resume" in said[0]
    assert not list(folder.path.iterdir())
    folder.start_anew(said.append)
    assert len(said) == 1


def test_removing_takes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    folder = with_checkpoint(tmp_path)
    (folder.path / ".splatwright-pose-x").mkdir()
    (folder.path / "splatwright-points-x").mkdir()
    (folder.path / "splatwright-points-x" / "features.db").write_bytes(b"x")
    folder.keep_points(PointCloud(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8)))
    folder.remove()
    assert not folder.path.exists()
    folder = with_checkpoint(tmp_path)
    (folder.path / "notes.txt").write_text("mine")
    folder.remove()
    assert [p.name for p in folder.path.iterdir()] == ["notes.txt"]
    TrainingFolder.beside(tmp_path / "never.ply").remove()


def test_points_come_back_bit_by_bit(tmp_path: Path) -> None:
    folder = with_checkpoint(tmp_path)
    assert folder.points() is None
    random = np.random.default_rng(0)
    points = PointCloud(random.normal(size=(50, 3)).astype(np.float32), random.integers(0, 256, (50, 3), np.uint8))
    folder.keep_points(points)
    back = folder.points()
    assert back is not None
    np.testing.assert_array_equal(back.positions, points.positions)
    np.testing.assert_array_equal(back.colors, points.colors)


def test_damaged_points_are_one_sentence(tmp_path: Path) -> None:
    folder = with_checkpoint(tmp_path)
    for content in (b"", b"PK\x03\x04nonsense", b"nonsense"):
        (folder.path / "points.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"points\.npz' is damaged"):
            folder.points()


def test_a_file_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "scene.ply.training").write_text("x")
    with pytest.raises(UserError, match="cannot be made"):
        TrainingFolder.beside(tmp_path / "scene.ply").start_anew(lambda text: None)
