"""Recognises a capture folder's dialect and reads it into posed views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backend.captures.capture import Capture, View
from backend.captures.capture_files import CaptureFiles
from backend.captures.colmap_model import find_model, read_colmap
from backend.captures.image_files import ImageHeader, read_header
from backend.captures.listing import ListedImage, Listing
from backend.captures.llff_file import POSES_FILE, read_llff
from backend.captures.transforms_file import is_transforms_capture, read_transforms
from backend.splats.cameras import Camera
from shared_protocol.errors import UserError

FEWEST_IMAGES = 3
TEST_EVERY = 8  # every 8th view in file-name order is held out, as in mip-NeRF 360 and 3D Gaussian Splatting
_MOST_NAMES_IN_A_WARNING = 30


def load_capture(folder: Path, *, strict: bool = False) -> Capture:
    """The posed views of a capture folder: transforms.json before COLMAP before LLFF where there are several.

    strict: a missing image is an error and not a warning.
    Raises UserError for everything the user can mend, naming the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("not_found", f"There is no capture folder {folder}.", "Check the path.")
    files = CaptureFiles(folder)
    listing = _read_listing(folder, files)
    found, missing, repeated = _look_up(listing, files)
    warnings = list(listing.warnings)
    if listing.has_own_test_split and not strict and not any(image.is_test for image, _ in found.values()):
        listing = replace(listing, images=tuple(i for i in listing.images if not i.is_test), has_own_test_split=False)
        found, missing, repeated = _look_up(listing, files)
        warnings.append(f"No test image is there, so every {TEST_EVERY}th image is held out instead.")
    _refuse_too_few(listing, missing, found, strict=strict)

    masks = _Masks(files)
    views = {name: _view(name, image, path, masks) for name, (image, path) in sorted(found.items())}
    if listing.has_own_test_split:
        test_names = {name for name, (image, _) in found.items() if image.is_test}
    else:
        test_names = set(list(views)[::TEST_EVERY])
    train = tuple(view for name, view in views.items() if name not in test_names)
    test = tuple(view for name, view in views.items() if name in test_names)

    source = _sources(listing)
    if missing:
        text = f"{len(missing)} of {len(listing.images)} images listed in {source} are missing and were left out"
        warnings.append(f"{text}: {_names(missing)}.")
    if repeated:
        warnings.append(f"{len(repeated)} images are listed twice; the first entry counts: {_names(repeated)}.")
    if masks.missing:
        warnings.append(f"{len(masks.missing)} masks listed in {source} are missing: {_names(masks.missing)}.")
    return Capture(
        folder,
        listing.dialect,
        train,
        test,
        listing.points,
        listing.has_own_test_split,
        tuple(warnings),
        listing.up,
    )


def has_poses(folder: Path) -> bool:
    """Whether the folder holds cameras in a dialect that `load_capture` reads."""
    folder = Path(folder)
    return is_transforms_capture(folder) or find_model(folder) is not None or (folder / POSES_FILE).is_file()


def _read_listing(folder: Path, files: CaptureFiles) -> Listing:
    if is_transforms_capture(folder):
        return read_transforms(folder, files)
    if (model := find_model(folder)) is not None:
        return read_colmap(model)
    if (folder / POSES_FILE).is_file():
        return read_llff(folder, files)
    raise UserError(
        "bad_input",
        f"{folder} holds no cameras: neither transforms.json nor sparse/0 nor poses_bounds.npy.",
        "Compute the poses from the photos first.",
        fix=f"splatwright pose {folder}",
    )


def _look_up(listing: Listing, files: CaptureFiles) -> tuple[dict[str, tuple[ListedImage, Path]], list[str], list[str]]:
    """The images that are there by view name, and as they are written those that are missing or listed twice."""
    found: dict[str, tuple[ListedImage, Path]] = {}
    missing: list[str] = []
    repeated: list[str] = []
    for image in listing.images:
        path = next((p for place in image.places if (p := files.find(place, source=image.source)) is not None), None)
        if path is None:
            missing.append(image.written)
        elif (name := files.name_of(path)) in found:
            # A transforms.json may list everything beside a transforms_test.json that holds some of it out.
            repeated += [image.written] if found[name][0].is_test == image.is_test else []
        else:
            found[name] = (image, path)
    return found, missing, repeated


def _sources(listing: Listing) -> str:
    return " and ".join(sorted({image.source.name for image in listing.images}))


def _refuse_too_few(
    listing: Listing, missing: list[str], found: dict[str, tuple[ListedImage, Path]], *, strict: bool
) -> None:
    total, source = len(listing.images), _sources(listing)
    reason = None
    if missing and strict:
        reason = "and missing images are not allowed (--strict)"
    elif sum(not image.is_test for image, _ in found.values()) < FEWEST_IMAGES:
        reason = f"and at least {FEWEST_IMAGES} are needed to train on"
    elif 2 * len(found) < total:
        reason = "which is less than half"
    if reason is not None:
        raise UserError(
            "bad_input",
            f"Only {len(found)} of the {total} images listed in {source} are there, {reason}.",
            f"Missing: {_names(missing)}." if missing else "Take more photos.",
        )


class _Masks:
    def __init__(self, files: CaptureFiles) -> None:
        self._files = files
        self.missing: list[str] = []

    def of(self, image: ListedImage, path: Path) -> Path | None:
        if image.mask is None:
            return self._files.mask_of(path)
        found = self._files.find(image.mask, source=image.source)
        if found is None:
            self.missing.append(image.mask)
        return found


def _view(name: str, image: ListedImage, path: Path, masks: _Masks) -> View:
    header = read_header(path)
    wanted = (image.lens.width or header.width, image.lens.height or header.height)
    upright = _grid_is_upright(image, header, wanted, path)
    width, height = header.upright_size if upright else (header.width, header.height)
    camera: Camera = image.lens.camera(image.camera_from_world, width, height).resized(width, height)
    return View(name, path, camera, image.lens.distortion, masks.of(image, path), upright)


def _grid_is_upright(image: ListedImage, header: ImageHeader, wanted: tuple[int, int], path: Path) -> bool:
    """Whether the intrinsics describe the photo as its EXIF orientation turns it, and not as it is stored.

    Raises UserError when they fit neither way.
    """
    stored, upright = (header.width, header.height), header.upright_size
    grids = [(stored, False)] if header.orientation == 1 else [(stored, False), (upright, True)]
    if image.posed_upright:
        grids.reverse()
    for fits in (lambda grid: grid == wanted, lambda grid: _same_aspect(grid, wanted)):
        for grid, turned in grids:
            if fits(grid):
                return turned
    raise UserError(
        "bad_input",
        f"{path} is {stored[0]} x {stored[1]} pixels, but {image.source} describes {wanted[0]} x {wanted[1]}.",
        "Use the photos that the cameras were computed from, or a copy of them scaled evenly.",
    )


def _same_aspect(grid: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Whether one size is the other scaled evenly, to within one pixel of rounding."""
    return abs(wanted[1] * grid[0] / wanted[0] - grid[1]) <= 1.0


def _names(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMES_IN_A_WARNING])
    more = len(names) - _MOST_NAMES_IN_A_WARNING
    return f"{shown} and {more} more" if more > 0 else shown
