"""Poses from photos alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures import Capture, load_capture, make_capture, pose_photos, read_photos
from backend.captures.features import Features
from backend.captures.photo_pairs import pairs_to_match
from backend.captures.unposed_photos import camera_numbers, find_photos
from shared_protocol.errors import UserError
from tests.unit.captures.writing import write_photo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return load_capture(make_capture(tmp_path_factory.mktemp("made"), views=16, width=320, height=240, arc=90.0))


def photos_of(made: Capture, folder: Path, count: int = 16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for view in made.views[:count]:
        shutil.copy(view.image_path, folder / f"photo {view.image_path.name}")
    return folder


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def aligned_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest distance between camera centres after the best rotation, shift and scale (Umeyama 1991)."""
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * np.diag(sign)).sum() / (a * a).sum()
    return float(np.linalg.norm(scale * a @ (u @ sign @ vt).T - b, axis=1).max())


def test_poses_are_those_of_the_cameras_that_made_the_photos(made: Capture, tmp_path: Path) -> None:
    folder = photos_of(made, tmp_path / "photos")
    before = everything_in(folder)
    told: list[tuple[int, int]] = []
    result = pose_photos(folder, on_progress=lambda done, total: told.append((done, total)))
    assert (result.registered, result.total, result.unregistered) == (16, 16, ())
    assert result.mean_reprojection_error < 0.6
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted(done for done, _ in told)

    after = everything_in(folder)
    assert {name: after[name] for name in before} == before
    assert {Path(name).parts[0] for name in after} - set(before) == {"sparse"}
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["sparse"]

    capture = load_capture(folder)
    assert capture.dialect == "colmap" and [view.name for view in capture.views] == sorted(before)
    centres = np.array([view.camera.centre for view in capture.views])
    assert aligned_error(centres, np.array([view.camera.centre for view in made.views])) < 0.1
    assert capture.views[0].camera.fx == pytest.approx(made.views[0].camera.fx, rel=0.05)
    assert len({view.camera.fx for view in capture.views}) == 1
    assert capture.points is not None and len(capture.points.positions) > 200
    # z is up: the higher ring of photos is higher, and the cameras' right edge is level.
    right = np.array([view.camera.camera_from_world[0, :3] for view in capture.views])
    assert np.abs(right[:, 2]).max() < 0.1
    assert centres[1::2, 2].min() > centres[::2, 2].max()


def test_a_second_call_does_not_compute_again(made: Capture, tmp_path: Path) -> None:
    folder = photos_of(made, tmp_path, 8)
    first = pose_photos(folder)
    model = folder / "sparse/0/images.bin"
    model.write_bytes(model.read_bytes() + b"mark")
    assert pose_photos(folder) == first and model.read_bytes().endswith(b"mark")
    pose_photos(folder, force=True)
    assert not model.read_bytes().endswith(b"mark")
    photos_of(made, folder, 9)
    assert pose_photos(folder).total == 9


def test_photos_lying_on_their_side_come_out_upright(made: Capture, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for view in made.views[:10]:
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = Image.open(view.image_path).transpose(Image.Transpose.ROTATE_90)
        turned.save(tmp_path / "images" / view.image_path.name, exif=exif)
    before = everything_in(tmp_path)
    assert pose_photos(tmp_path).registered == 10
    assert {name: content for name, content in everything_in(tmp_path).items() if "sparse" not in name} == before
    capture = load_capture(tmp_path)
    photo = read_photos(capture.views, max_pixels=10**6, masks="off")[0]
    assert photo.rgb.shape == (240, 320, 3) and capture.views[0].turn_by_exif
    truth = np.asarray(Image.open(made.views[0].image_path))
    assert np.abs(photo.rgb.astype(int) - truth).mean() < 12  # the same picture but for the undistortion
    assert np.abs(np.array([view.camera.camera_from_world[0, 2] for view in capture.views])).max() < 0.1


def test_photos_upside_down_come_out_upright(made: Capture, tmp_path: Path) -> None:
    """Turned by half a turn the size says nothing, so the model must remember what was done."""
    (tmp_path / "images").mkdir()
    for view in made.views[:10]:
        exif = Image.Exif()
        exif[0x0112] = 3
        turned = Image.open(view.image_path).transpose(Image.Transpose.ROTATE_180)
        turned.save(tmp_path / "images" / view.image_path.name, exif=exif)
    pose_photos(tmp_path)
    capture = load_capture(tmp_path)
    assert all(view.turn_by_exif for view in capture.views)
    photo = read_photos(capture.views, max_pixels=10**6, masks="off")[0]
    assert np.abs(photo.rgb.astype(int) - np.asarray(Image.open(made.views[0].image_path))).mean() < 12


def test_photos_larger_than_what_is_searched_get_their_full_size(made: Capture, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("backend.captures.structure_from_motion._PIXELS_OF_A_PHOTO", (300 * 225, 300 * 225))
    folder = photos_of(made, tmp_path)
    pose_photos(folder)
    capture = load_capture(folder)
    assert (capture.views[0].camera.width, capture.views[0].camera.height) == (320, 240)
    assert capture.views[0].camera.fx == pytest.approx(made.views[0].camera.fx, rel=0.05)
    # Points written for the full size are seen where the written camera says.
    import pycolmap

    model = pycolmap.Reconstruction(folder / "sparse/0")
    assert model.compute_mean_reprojection_error() < 0.8
    errors = []
    for image in model.images.values():
        for point in image.points2D:
            if point.has_point3D():
                errors.append(np.linalg.norm(image.project_point(model.point3D(point.point3D_id).xyz) - point.xy))
    assert np.median(errors) < 0.6


def refused(folder: Path, *words: str) -> UserError:
    with pytest.raises(UserError) as caught:
        pose_photos(folder)
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert caught.value.hint
    return caught.value


def test_too_few_photos_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere", "nowhere").kind == "not_found"
    refused(tmp_path, "0 photos")
    for i in range(2):
        write_photo(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    refused(tmp_path, str(tmp_path), "2 photos")


@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_photos_that_do_not_fit_together_are_refused(tmp_path: Path, kind: str) -> None:
    for i in range(4):
        if kind == "noise":
            write_photo(tmp_path / f"{i}.png", (120, 90), seed=i)
        else:
            Image.new("RGB", (120, 90), (90, 100, 110)).save(tmp_path / f"{i}.png")
    refused(tmp_path, str(tmp_path), "could not be put together")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "2.png", "3.png"]


def test_poses_from_elsewhere_are_not_replaced(made: Capture, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "capture")
    refused(tmp_path / "capture", "has camera poses already")


def test_stopping_leaves_nothing_behind(made: Capture, tmp_path: Path) -> None:
    folder = photos_of(made, tmp_path, 6)
    before = everything_in(folder)

    class Stopped(Exception):
        pass

    def stop_after(steps: int):
        def tell(done: int, _total: int) -> None:
            if done >= steps:
                raise Stopped

        return tell

    for steps in (1, 8, 20):  # while searching, matching, mapping
        with pytest.raises(Stopped):
            pose_photos(folder, on_progress=stop_after(steps))
        assert everything_in(folder) == before and not any(path.is_dir() for path in folder.iterdir())


def with_exif(path: Path, size: tuple[int, int], model: str = "", focal: int = 0, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if model:
        exif[0x0110] = model
    if focal:
        exif.get_ifd(0x8769)[0xA405] = focal
    Image.new("RGB", size).save(path, exif=exif)


def test_photos_of_one_camera_share_it(tmp_path: Path) -> None:
    with_exif(tmp_path / "a.jpg", (40, 30), "Phone", 28)
    with_exif(tmp_path / "b.jpg", (40, 30), "Phone", 28)
    with_exif(tmp_path / "c.jpg", (40, 30), "Phone", 28, orientation=6)
    with_exif(tmp_path / "d.jpg", (40, 30), "Phone", 52)
    with_exif(tmp_path / "e.jpg", (40, 30))
    with_exif(tmp_path / "f.jpg", (40, 30))
    photos = find_photos(tmp_path)
    assert camera_numbers(photos) == [1, 1, 2, 3, 4, 5]
    assert photos[2].size == (30, 40)
    assert photos[0].focal == pytest.approx(28 / 43.2666 * 50, rel=1e-4)
    assert photos[4].focal == 48.0
    # Frames of a video have no EXIF and one size.
    assert camera_numbers(photos[4:]) == [1, 1]


def test_photos_are_taken_from_images_before_the_folder_itself(tmp_path: Path) -> None:
    write_photo(tmp_path / "top.png")
    write_photo(tmp_path / "masks/a.png")
    assert [photo.name for photo in find_photos(tmp_path)] == ["top.png"]
    write_photo(tmp_path / "images/b/z.JPG")
    write_photo(tmp_path / "images/.hidden.png")
    assert [photo.name for photo in find_photos(tmp_path)] == ["b/z.JPG"]


def test_many_photos_are_matched_with_those_that_look_alike() -> None:
    """A hundred photos of ten things in mixed order: each is matched with the others of its thing."""
    generator = np.random.default_rng(0)
    things = [generator.integers(0, 200, (40, 128)) for _ in range(10)]
    features = []
    for i in range(100):
        noisy = things[i % 10] + generator.integers(-6, 7, (40, 128))
        features.append(Features(np.zeros((40, 4), np.float32), noisy.clip(0, 255).astype(np.uint8)))
    pairs = set(pairs_to_match(features))
    alike = {(i, j) for i in range(100) for j in range(i + 1, 100) if (j - i) % 10 == 0}
    assert alike <= pairs and len(pairs) < 100 * 24
    assert all((i, i + 1) in pairs for i in range(99))
    assert len(pairs_to_match(features[:40])) == 40 * 39 // 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fewest", "total"), [("monstree_unposed", 22, 23), ("sceaux_castle_unposed", 11, 11)])
def test_real_photos_register(sample_data, tmp_path: Path, name: str, fewest: int, total: int) -> None:
    shutil.copytree(sample_data(name) / "images", tmp_path / "images")
    result = pose_photos(tmp_path)
    assert result.total == total and result.registered >= fewest
    assert result.mean_reprojection_error < 1.0
    assert len(load_capture(tmp_path).views) == result.registered
