"""Computes where photos were taken from, and writes it beside them as a COLMAP model."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pycolmap

from backend.captures.feature_database import write_features
from backend.captures.features import Features, find_features
from backend.captures.image_files import decode
from backend.captures.load import FEWEST_IMAGES, has_poses
from backend.captures.photo_pairs import pairs_to_match
from backend.captures.photos import photo_size
from backend.captures.pose_record import RECORD_FILE, PoseResult, read_pose_record
from backend.captures.threads import Progress, in_threads
from backend.captures.unposed_photos import UnposedPhoto, camera_numbers, find_photos
from shared_protocol.errors import UserError

_MODEL = Path("sparse") / "0"
_PIXELS_IN_ALL = 60_000_000
_PIXELS_OF_A_PHOTO = (300_000, 1_500_000)
_FEATURES_IN_ALL = 300_000
_FEATURES_OF_A_PHOTO = (3000, 5000)
_PAIRS_AT_ONCE = 8  # between two looks at whether the user wants to stop: a second; more at once are not faster
_RGBA = 4
_TEMPORARY = ".splatwright-pose-"


@dataclass(frozen=True)
class _Searched:
    """A photo that was searched for features, smaller than it is."""

    rgb: np.ndarray
    features: Features


def pose_photos(
    folder: Path,
    *,
    force: bool = False,
    work: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PoseResult:
    """Computes the poses of the photos in `folder` or its `images/` and writes them to `sparse/0`.

    The photos are turned by their EXIF orientation for this, in memory; their files stay as they are. The world's
    z axis points up as far as the photos tell. A folder that was posed before is not computed again without `force`.
    work: a folder for what is only needed meanwhile, of which a killed process leaves a part; None = beside the photos.
    Raises UserError when there are too few photos, when nothing registers, or when the folder has other poses.
    """
    folder = Path(folder)
    photos = _checked_photos(folder)
    model = folder / _MODEL
    known = read_pose_record(model)
    if known is not None and known.total == len(photos) and not force:
        return known
    if known is None and has_poses(folder):
        raise UserError(
            "refused", f"{folder} has camera poses already.", "Move them to another folder to compute new ones."
        )
    if not os.access(folder, os.W_OK):
        raise UserError("bad_input", f"{folder} cannot be written to.", "Copy the photos to a folder of your own.")

    progress = Progress(4 * len(photos), on_progress)
    searched = _search(photos, progress)
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=work or folder) as temporary:
        database = Path(temporary) / "features.db"
        cameras = _cameras(photos, searched)
        features = [photo.features for photo in searched]
        # Numbers for names until the end: in COLMAP's list of pairs a space in a name would end it.
        write_features(database, [_number(i) for i in range(len(photos))], cameras, features)
        _match(database, features, progress)
        best = _map(database, len(photos), progress)
        if best is None:
            raise UserError(
                "bad_input",
                f"The photos in {folder} could not be put together: no three of them show enough of the same things.",
                "Take sharp photos of a textured scene, each half a step further and half overlapping the last.",
            )
        result = _finish(best, photos, searched)
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=folder) as beside:
            _write(best, result, Path(beside), model)
    progress.finish()
    return result


def _checked_photos(folder: Path) -> list[UnposedPhoto]:
    if not folder.is_dir():
        raise UserError("not_found", f"There is no folder {folder}.", "Check the path.")
    photos = find_photos(folder)
    if len(photos) < FEWEST_IMAGES:
        raise UserError(
            "bad_input",
            f"{folder} holds {len(photos)} photos, and at least {FEWEST_IMAGES} are needed.",
            "Put JPEG, PNG, TIFF or WebP photos of one scene into the folder, or into a folder 'images' in it.",
        )
    return photos


def _within(value: int, limits: tuple[int, int]) -> int:
    return max(limits[0], min(limits[1], value))


def _search(photos: list[UnposedPhoto], progress: Progress) -> list[_Searched]:
    max_pixels = _within(_PIXELS_IN_ALL // len(photos), _PIXELS_OF_A_PHOTO)
    most_features = _within(_FEATURES_IN_ALL // len(photos), _FEATURES_OF_A_PHOTO)

    def search(photo: UnposedPhoto) -> _Searched:
        picture = decode(photo.path, upright=True)
        inside = None
        if picture.shape[2] == _RGBA:
            inside, picture = picture[..., 3], picture[..., :3]
        size = photo_size(*photo.size, max_pixels=max_pixels)
        small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
        if inside is not None:
            inside = cv2.resize(np.ascontiguousarray(inside), size, interpolation=cv2.INTER_AREA)
        return _Searched(small, find_features(small, inside, at_most=most_features))

    return in_threads(search, photos, after_each=progress.step)


def _cameras(photos: list[UnposedPhoto], searched: list[_Searched]) -> list[pycolmap.Camera]:
    """The camera of each photo at the searched size; photos of one camera share the object."""
    cameras: dict[int, pycolmap.Camera] = {}
    for number, photo, small in zip(camera_numbers(photos), photos, searched, strict=True):
        if number not in cameras:
            height, width = small.rgb.shape[:2]
            focal = photo.focal * width / photo.size[0]
            camera = pycolmap.Camera.create_from_model_name(number, "SIMPLE_RADIAL", focal, width, height)
            camera.has_prior_focal_length = photo.focal_35mm is not None
            cameras[number] = camera
    return [cameras[number] for number in camera_numbers(photos)]


def _number(photo: int) -> str:
    return f"{photo:06d}"


def _match(database: Path, features: list[Features], progress: Progress) -> None:
    pairs, steps = pairs_to_match(features), 2 * len(features)
    matching = pycolmap.FeatureMatchingOptions(use_gpu=False)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    pair_list = database.with_name("pairs.txt")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        end = min(start + _PAIRS_AT_ONCE, len(pairs))
        pair_list.write_text("".join(f"{_number(i)} {_number(j)}\n" for i, j in pairs[start:end]), encoding="utf-8")
        pairing = pycolmap.ImportedPairingOptions(match_list_path=pair_list)
        pycolmap.match_image_pairs(database, matching, pairing, verification, device=pycolmap.Device.cpu)
        progress.step(steps * end // len(pairs) - steps * start // len(pairs))


def _map(database: Path, photos: int, progress: Progress) -> pycolmap.Reconstruction | None:
    """The model with the most photos; global mapping is tried where incremental mapping leaves some out."""
    folder = database.parent
    options = pycolmap.IncrementalPipelineOptions(random_seed=0, extract_colors=False)
    options.mapper.random_seed = options.triangulation.random_seed = 0
    left = photos

    def one_more() -> None:
        nonlocal left
        if left > 0:  # COLMAP may start over with another pair
            left -= 1
            progress.step()

    grown = _new(folder / "grown")
    found = pycolmap.incremental_mapping(database, folder, grown, options, next_image_callback=one_more)
    models = list(found.values())
    if max((model.num_reg_images() for model in models), default=0) < photos:
        at_once = pycolmap.GlobalPipelineOptions(random_seed=0)
        models += pycolmap.global_mapping(database, folder, _new(folder / "at_once"), at_once).values()
    progress.step(left)
    models = [model for model in models if model.num_reg_images() >= FEWEST_IMAGES and model.num_points3D() > 0]
    return max(models, key=lambda m: (m.num_reg_images(), -m.compute_mean_reprojection_error()), default=None)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _finish(model: pycolmap.Reconstruction, photos: list[UnposedPhoto], searched: list[_Searched]) -> PoseResult:
    """Brings the model to the photos' names, full size and colours, with z up."""
    _color(model, searched)
    sizes: dict[int, tuple[int, int]] = {}
    for image in model.images.values():
        photo, small = photos[int(image.name)], searched[int(image.name)]
        height, width = small.rgb.shape[:2]
        scale = np.array([photo.size[0] / width, photo.size[1] / height])
        for point in image.points2D:
            point.xy = point.xy * scale
        sizes[image.camera_id] = photo.size
    for number, size in sizes.items():
        model.camera(number).rescale(*size)
    registered = [int(model.image(number).name) for number in model.reg_image_ids()]
    for image in model.images.values():
        image.name = photos[int(image.name)].name
    _turn_upright(model)
    model.update_point_3d_errors()
    return PoseResult(
        registered=len(registered),
        total=len(photos),
        unregistered=tuple(photo.name for i, photo in enumerate(photos) if i not in registered),
        mean_reprojection_error=model.compute_mean_reprojection_error(),
        turned_by_exif=True,
    )


def _color(model: pycolmap.Reconstruction, searched: list[_Searched]) -> None:
    for point in model.points3D.values():
        samples = []
        for element in point.track.elements:
            image = model.image(element.image_id)
            rgb = searched[int(image.name)].rgb
            x, y = image.point2D(element.point2D_idx).xy
            samples.append(rgb[_within(int(y), (0, rgb.shape[0] - 1)), _within(int(x), (0, rgb.shape[1] - 1))])
        point.color = np.rint(np.mean(samples, axis=0)).astype(np.uint8)


def _turn_upright(model: pycolmap.Reconstruction) -> None:
    """Turns the world so that z points up."""
    poses = [model.image(number).cam_from_world().rotation.matrix() for number in model.reg_image_ids()]
    right, up = np.array([pose[0] for pose in poses]), -np.mean([pose[1] for pose in poses], axis=0)
    if np.linalg.norm(up) < 0.1:
        return  # photos taken all around a ball have no common up
    up /= np.linalg.norm(up)
    # People tilt cameras up and down but hold them level: up is at right angles to every photo's horizontal edge.
    # Where all photos look the same way that leaves a choice, which the photos' own mean upward direction decides.
    spread = right.T @ right / len(right) + 0.05 * (np.eye(3) - np.outer(up, up))
    level = np.linalg.eigh(spread)[1][:, 0]
    up = level * np.sign(level @ up)
    forward = np.cross(up, right[np.abs(right @ up).argmin()])
    forward /= np.linalg.norm(forward)
    turn = np.stack([np.cross(forward, up), forward, up])
    model.transform(pycolmap.Sim3d(1.0, pycolmap.Rotation3d(turn), np.zeros(3)))


def _write(model: pycolmap.Reconstruction, result: PoseResult, temporary: Path, target: Path) -> None:
    """Replaces the folder `target`; a crash in between leaves either the old model, none, or the new one."""
    written = _new(temporary / "model")
    try:
        model.write_binary(written)
        (written / RECORD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(result)))
        for file in written.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            os.replace(target, temporary / "replaced")
        os.replace(written, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                "disk_full", f"The disk of {target} is full.", "Free some space and start again."
            ) from error
        raise UserError("bad_input", f"{target} cannot be written: {error.strerror}.", "Check the folder.") from error
