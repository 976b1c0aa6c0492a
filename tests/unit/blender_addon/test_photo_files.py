from __future__ import annotations

from pathlib import Path

import pytest

from backend.captures.image_files import IMAGE_SUFFIXES
from blender_addon.core import photo_files
from shared_protocol.errors import UserError


def photos(folder: Path, count: int = 4) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / f"IMG_{i}.JPG" for i in range(count)]
    for i, path in enumerate(made):
        path.write_bytes(bytes([i]))
    return made


def test_the_backend_reads_the_same_kinds_of_photos() -> None:
    assert set(photo_files.PHOTOS) == set(IMAGE_SUFFIXES)


def test_folders_of_photos_are_taken_as_they_are(tmp_path: Path) -> None:
    photos(tmp_path / "flat")
    photos(tmp_path / "colmap" / "images" / "left")
    (tmp_path / "posed").mkdir()
    (tmp_path / "posed" / "transforms.json").write_text("{}")
    for name in ("flat", "colmap", "posed"):
        photo_files.refuse_folder(tmp_path / name)


def test_a_folder_without_photos_is_refused_by_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer than 3 photos"):
        photo_files.refuse_folder(tmp_path)
    (tmp_path / "clip.MP4").write_bytes(b"")
    with pytest.raises(UserError, match=r"clip.MP4 is a video") as refusal:
        photo_files.refuse_folder(tmp_path)
    assert "frames" in refusal.value.hint
    with pytest.raises(UserError, match="There is no folder"):
        photo_files.refuse_folder(tmp_path / "nowhere")


def test_all_photos_of_a_folder_are_that_folder(tmp_path: Path) -> None:
    assert photo_files.gather(photos(tmp_path / "tree")) == tmp_path / "tree"
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_some_photos_become_a_folder_beside_theirs(tmp_path: Path) -> None:
    made = photos(tmp_path / "tree", 6)
    for name in ("tree_chosen", "tree_chosen_2"):  # a second choice does not touch the first
        folder = photo_files.gather(made[:4])
        assert folder == tmp_path / name
        assert sorted(path.name for path in (folder / "images").iterdir()) == [path.name for path in made[:4]]
        assert (folder / "images" / "IMG_3.JPG").read_bytes() == b"\x03"
    assert all(path.exists() for path in made)


def test_photos_of_one_name_from_two_folders_are_both_there(tmp_path: Path) -> None:
    chosen = photos(tmp_path / "a", 2) + photos(tmp_path / "b", 2)
    folder = photo_files.gather(chosen, tmp_path / "both")
    assert len(list((folder / "images").iterdir())) == 4


def test_what_is_no_photo_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    made = photos(tmp_path / "tree")
    for name, message in (("clip.mov", "is a video"), ("raw.cr3", "no photo that can be read"), ("x.jpg", "no photo")):
        if not name.startswith("x"):
            (tmp_path / "tree" / name).write_bytes(b"")
        with pytest.raises(UserError, match=message):
            photo_files.gather([*made[:3], tmp_path / "tree" / name])
    with pytest.raises(UserError, match="2 photos are too few"):
        photo_files.gather(made[:2])
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_folder_with_something_in_it_is_not_filled(tmp_path: Path) -> None:
    made = photos(tmp_path / "tree")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        photo_files.gather(made, tmp_path / "full")
