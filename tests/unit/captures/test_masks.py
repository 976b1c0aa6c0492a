"""What masks and alpha channels mean, and who decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures import choose_mask_use, load_capture, read_photos
from shared_protocol.errors import UserError
from tests.unit.captures.test_transforms import edit
from tests.unit.captures.writing import HEIGHT, WIDTH, instant_ngp, opengl_frame, orbit, write_photo, write_transforms


def write_mask(path: Path, inside: float, size: tuple[int, int] = (WIDTH, HEIGHT), value: int = 255) -> Path:
    """White in so much of the left of the picture."""
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[:, : round(size[0] * inside)] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def masked(folder: Path, inside: float, count: int = 4) -> Path:
    instant_ngp(folder, count)
    for i in range(count):
        write_mask(folder / f"masks/{i:03d}.png", inside)
    return folder


def transparent(folder: Path, *, opaque: bool = False) -> Path:
    instant_ngp(folder, 4)
    for i in range(4):
        path = write_photo(folder / f"images/{i:03d}.png", mode="RGBA", seed=i)
        pixels = np.array(Image.open(path))
        pixels[..., 3] = 255
        pixels[:, 10:, 3] = 255 if opaque else 0
        Image.fromarray(pixels).save(path)
    return folder


def test_masks_lie_beside_the_images(tmp_path: Path) -> None:
    capture = load_capture(masked(tmp_path, 0.3))
    assert [view.mask_path for view in capture.views] == [tmp_path / f"masks/{i:03d}.png" for i in range(4)]


def test_a_mask_may_be_named_by_its_frame_or_carry_the_images_suffix(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4)
    named = write_mask(folder / "other/m.png", 0.3)
    edit(folder, frame=1, mask_path="other/m.png")
    colmap_style = write_mask(folder / "masks/002.png.png", 0.3)
    edit(folder, frame=3, mask_path="other/nowhere.png")
    capture = load_capture(folder)
    assert [view.mask_path for view in capture.views] == [None, named, colmap_style, None]
    assert capture.warnings == ("1 masks listed in transforms.json are missing: other/nowhere.png.",)


def test_masks_of_train_and_test_are_not_mixed_up(tmp_path: Path) -> None:
    for split, poses in (("train", orbit(4)), ("test", orbit(2))):
        frames = []
        for i, pose in enumerate(poses):
            write_photo(tmp_path / f"{split}/r_{i}.png")
            frames.append(opengl_frame(f"{split}/r_{i}", pose))
        write_transforms(tmp_path, frames, f"transforms_{split}.json", camera_angle_x=0.7)
    write_mask(tmp_path / "masks/r_0.png", 0.3)
    own = write_mask(tmp_path / "masks/train/r_1.png", 0.3)
    capture = load_capture(tmp_path)
    masks = {view.name: view.mask_path for view in capture.views if view.mask_path}
    assert masks == {"train/r_1.png": own}


def test_ignore_gives_weights_and_leaves_the_picture_alone(tmp_path: Path) -> None:
    capture = load_capture(masked(tmp_path, 0.5))
    (tmp_path / "masks/001.png").unlink()
    first, second = read_photos(load_capture(tmp_path).views[:2], max_pixels=10_000, masks="ignore")
    assert first.alpha is None and first.weight is not None and second.weight is not None
    assert (first.weight[:, :20] == 255).all() and (first.weight[:, 20:] == 0).all()
    assert (second.weight == 255).all()
    np.testing.assert_array_equal(first.rgb, np.asarray(Image.open(capture.views[0].image_path)))


def test_segment_makes_the_rest_transparent(tmp_path: Path) -> None:
    capture = load_capture(masked(tmp_path, 0.5))
    photo = read_photos(capture.views, max_pixels=WIDTH * HEIGHT // 4, masks="segment")[0]
    assert photo.weight is None and photo.alpha is not None and photo.alpha.shape == photo.rgb.shape[:2]
    assert (photo.alpha[:, :10] == 255).all() and (photo.alpha[:, 10:] == 0).all()


def test_segment_takes_alpha_where_there_is_no_mask_file(tmp_path: Path) -> None:
    capture = load_capture(transparent(tmp_path))
    photo = read_photos(capture.views, max_pixels=10_000, masks="segment")[0]
    assert photo.alpha is not None and (photo.alpha[:, :10] == 255).all() and (photo.alpha[:, 10:] == 0).all()


def test_segment_without_a_mask_is_refused(tmp_path: Path) -> None:
    folder = masked(tmp_path, 0.3)
    (folder / "masks/002.png").unlink()
    capture = load_capture(folder)
    with pytest.raises(UserError, match=r"002\.png has no mask"):
        read_photos(capture.views, max_pixels=100, masks="segment")
    with pytest.raises(UserError, match="1 of 4 photos have no mask"):
        choose_mask_use(capture, "segment")


def test_masks_follow_the_undistortion_and_the_size_of_the_photo(tmp_path: Path) -> None:
    """A mask drawn around what is bright in the distorted photo still fits after both were undistorted."""
    folder = instant_ngp(tmp_path, 4, k1=-0.3, k2=0.1)
    for i in range(4):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[8:20, 12:30] = 255
        Image.fromarray(pixels).save(folder / f"images/{i:03d}.png")
        (folder / "masks").mkdir(exist_ok=True)
        large = Image.fromarray(pixels[..., 0]).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.NEAREST)
        large.save(folder / f"masks/{i:03d}.png")
    photo = read_photos(load_capture(folder).views, max_pixels=WIDTH * HEIGHT, masks="ignore")[0]
    assert photo.weight is not None
    assert np.abs(photo.weight.astype(int) - photo.rgb[..., 0]).max() <= 1
    assert 150 < (photo.weight > 127).sum() < 300


def test_masks_of_ones_count_as_white(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4)
    write_mask(folder / "masks/000.png", 0.5, value=1)
    photo = read_photos(load_capture(folder).views[:1], max_pixels=10_000, masks="ignore")[0]
    assert photo.weight is not None and photo.weight.max() == 255


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = masked(tmp_path, 0.3)
    write_mask(folder / "masks/001.png", 0.3, (HEIGHT, WIDTH))
    with pytest.raises(UserError, match=rf"001\.png is {HEIGHT} x {WIDTH} pixels, but its photo is {WIDTH} x {HEIGHT}"):
        read_photos(load_capture(folder).views, max_pixels=100, masks="segment")


def test_a_mask_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = masked(tmp_path, 0.3)
    (folder / "masks/001.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"masks/001\.png is not an image"):
        read_photos(load_capture(folder).views, max_pixels=100, masks="segment")


@pytest.mark.parametrize(("inside", "use"), [(0.3, "segment"), (0.8, "ignore")])
def test_auto_looks_at_how_much_the_masks_cover(tmp_path: Path, inside: float, use: str) -> None:
    chosen, sentence = choose_mask_use(load_capture(masked(tmp_path, inside)))
    assert chosen == use
    assert f"{inside:.0%}" in sentence and "--masks" in sentence and sentence.endswith(".")


def test_auto_does_not_cut_out_objects_when_masks_are_missing(tmp_path: Path) -> None:
    folder = masked(tmp_path, 0.3)
    (folder / "masks/002.png").unlink()
    chosen, sentence = choose_mask_use(load_capture(folder))
    assert chosen == "ignore" and "1 of 4" in sentence


def test_auto_uses_alpha_where_something_is_transparent(tmp_path: Path) -> None:
    chosen, sentence = choose_mask_use(load_capture(transparent(tmp_path / "a")))
    assert chosen == "alpha" and "--masks" in sentence
    assert choose_mask_use(load_capture(transparent(tmp_path / "b", opaque=True)))[0] == "off"
    assert choose_mask_use(load_capture(instant_ngp(tmp_path / "c", 4)))[0] == "off"


@pytest.mark.parametrize("choice", ["ignore", "segment", "alpha"])
def test_a_choice_the_capture_cannot_give_is_refused(tmp_path: Path, choice: str) -> None:
    capture = load_capture(instant_ngp(tmp_path, 4))
    with pytest.raises(UserError, match=f"--masks {choice}") as caught:
        choose_mask_use(capture, choice)  # type: ignore[arg-type]
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("choice", ["ignore", "segment", "off"])
def test_a_choice_is_kept(tmp_path: Path, choice: str) -> None:
    assert choose_mask_use(load_capture(masked(tmp_path, 0.8)), choice)[0] == choice  # type: ignore[arg-type]


def test_alpha_can_be_chosen_and_missing_alpha_is_opaque(tmp_path: Path) -> None:
    folder = transparent(tmp_path)
    write_photo(folder / "images/001.png")
    capture = load_capture(folder)
    assert choose_mask_use(capture, "alpha")[0] == "alpha"
    photos = read_photos(capture.views, max_pixels=10_000, masks="alpha")
    assert photos[0].alpha is not None and photos[0].alpha.min() == 0
    assert photos[1].alpha is not None and photos[1].alpha.min() == 255


def test_the_samples_masks_are_taken_for_objects(sample_data) -> None:
    for name in ("alexander_masked", "ethiopian_turntable"):
        assert choose_mask_use(load_capture(sample_data(name)))[0] == "segment"
    assert choose_mask_use(load_capture(sample_data("chair_synthetic")))[0] == "alpha"
