"""Photos that the user picked, as a capture folder that the backend computes the poses of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..protocol import errors

# What the backend reads, and what people try instead.
PHOTOS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp")
CAMERA_FILES = ("transforms.json", "transforms_train.json", "poses_bounds.npy")

FEWEST_PHOTOS = 3


def refuse_folder(folder: Path) -> None:
    """Raises UserError when the folder cannot be a capture, saying what is in it instead."""
    if not folder.is_dir():
        raise errors.UserError("not_found", f"There is no folder {folder}.", "Choose a folder with photos.")
    if any((folder / name).is_file() for name in CAMERA_FILES):
        return
    # Not deeper: a wrong folder may hold a whole disk.
    places = (folder, folder / "images", *(folder / "images").glob("*/"))
    names = [path.name for place in places if place.is_dir() for path in place.iterdir()]
    if sum(name.lower().endswith(PHOTOS) for name in names) >= FEWEST_PHOTOS:
        return
    video = next((name for name in names if name.lower().endswith(VIDEOS)), None)
    if video is not None:
        raise _is_video(video)
    raise errors.UserError(
        "bad_input",
        f"{folder} holds fewer than {FEWEST_PHOTOS} photos, and none in a folder 'images' in it.",
        f"Choose a folder with photos of one scene ({', '.join(PHOTOS)}).",
    )


def gather(photos: Iterable[Path], folder: Path | None = None) -> Path:
    """The capture folder of these photos: where they lie, if they are all that lies there, else a new one.

    folder: where the new one is made, by default beside the folder of the first photo. Files are linked where the disk
    can, else copied; the photos themselves stay as they are. Raises UserError for what is no photo or not there.
    """
    chosen = sorted(set(photos))
    for path in chosen:
        if path.name.lower().endswith(VIDEOS):
            raise _is_video(path.name)
        if not path.name.lower().endswith(PHOTOS):
            raise errors.UserError(
                "unsupported", f"{path.name} is no photo that can be read.", f"Choose {', '.join(PHOTOS)}."
            )
        if not path.is_file():
            raise errors.UserError("not_found", f"There is no photo {path}.", "Choose the photos again.")
    if len(chosen) < FEWEST_PHOTOS:
        raise errors.UserError(
            "bad_input", f"{len(chosen)} photos are too few for a capture.", "Choose all photos of the scene."
        )
    home = chosen[0].parent
    lying_there = {path for path in home.iterdir() if path.name.lower().endswith(PHOTOS)}
    if folder is None and set(chosen) == lying_there:
        return home
    target = folder or _free(home.with_name(f"{home.name}_chosen"))
    if target.exists() and any(target.iterdir()):
        raise errors.UserError("refused", f"{target} is not empty.", "Choose an empty or a new folder.")
    return _filled(target, chosen)


def _filled(target: Path, chosen: list[Path]) -> Path:
    unfinished = target.with_name(f"{target.name}.splatwright-unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "images").mkdir(parents=True)
        for path in chosen:
            _place(path, _free(unfinished / "images" / path.name))
        if target.exists():
            target.rmdir()
        os.replace(unfinished, target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise errors.UserError(
            "bad_input", f"{target} cannot be written: {error.strerror}.", "Choose a folder that you may write to."
        ) from error
    return target


def _place(photo: Path, target: Path) -> None:
    try:
        os.link(photo, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(photo, target)


def _free(path: Path) -> Path:
    """The path, or one with a number where it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def _is_video(name: str) -> errors.UserError:
    return errors.UserError(
        "unsupported",
        f"{name} is a video, and captures are made of photos.",
        "Save some of its frames as pictures first, a few a second, and choose those.",
    )
