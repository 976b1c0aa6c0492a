from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from backend.captures.capture import Photo
from backend.training.frame import SceneFrame
from backend.training.inputs import TrainingInputs
from backend.training.views import Background, TrainingView, ViewOrder, load_views

CPU = torch.device("cpu")


def load(photo: Photo, *, coarse: bool = True) -> TrainingView:
    return load_views([photo], SceneFrame(np.zeros(3), 1.0), CPU, coarse=coarse)[0]


def large_photo(ball_inputs: Callable[..., TrainingInputs], *, alpha: bool) -> Photo:
    """A photo of 41 x 35 noise."""
    photo = ball_inputs().train_photos[0]
    rng = np.random.default_rng(0)
    camera = replace(photo.camera, width=41, height=35, cx=20.0, cy=17.0)
    rgb = rng.integers(0, 256, (35, 41, 3)).astype(np.uint8)
    return Photo(photo.name, camera, rgb, rng.integers(0, 256, (35, 41)).astype(np.uint8) if alpha else None, None)


def test_an_opaque_photo_is_its_own_target(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = large_photo(ball_inputs, alpha=False)
    target = load(photo).full.target(torch.ones(3))
    np.testing.assert_allclose(target.numpy(), photo.rgb / 255, atol=1e-6)


def test_a_transparent_photo_is_put_on_the_background(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = large_photo(ball_inputs, alpha=True)
    assert photo.alpha is not None
    background = torch.tensor([0.2, 0.5, 0.9])
    share = photo.alpha[..., None] / 255
    expected = photo.rgb / 255 * share + background.numpy() * (1 - share)
    np.testing.assert_allclose(load(photo).full.target(background).numpy(), expected, atol=0.6 / 255)


def test_half_size_keeps_the_picture_and_the_camera(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = large_photo(ball_inputs, alpha=True)
    view = load(photo)
    assert (view.half.width, view.half.height) == (20, 17)
    full, half = (p.target(torch.zeros(3)).mean(dim=(0, 1)) for p in (view.full, view.half))
    assert torch.allclose(full, half, atol=0.005)
    fx, fy, cx, cy = (view.half.intrinsics[0][i] for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    assert torch.allclose(torch.stack([fx, cx]) / torch.tensor([40.0, 20.0]), torch.tensor(20 / 41))
    assert torch.allclose(torch.stack([fy, cy]) / torch.tensor([40.0, 17.0]), torch.tensor(17 / 35))


def test_small_photos_and_fine_training_have_no_half_size(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = large_photo(ball_inputs, alpha=False)
    fine = load(photo, coarse=False)
    assert fine.half is fine.full
    small = load(ball_inputs().train_photos[0])
    assert small.half is small.full


def test_weights_come_with_the_photo(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = large_photo(ball_inputs, alpha=False)
    assert load(photo).full.weights() is None
    mask = np.zeros((35, 41), np.uint8)
    mask[:, :20] = 255
    view = load(replace(photo, weight=mask))
    weights, half = view.full.weights(), view.half.weights()
    assert weights is not None and half is not None
    assert weights[:, :20].min() == 1 and weights[:, 20:].max() == 0
    assert half.shape == (17, 20) and abs(half.mean() - weights.mean()) < 0.02


def test_every_view_comes_once_in_each_round() -> None:
    generator, order = torch.Generator().manual_seed(0), ViewOrder(7, [])
    rounds = [[order.next(generator) for _ in range(7)] for _ in range(3)]
    assert all(sorted(views) == list(range(7)) for views in rounds)
    assert rounds[0] != rounds[1]
    again = ViewOrder(7, [])
    assert [again.next(torch.Generator().manual_seed(0)) for _ in range(7)] == rounds[0]


def test_the_background_follows_the_setting_and_the_photos() -> None:
    generator = torch.Generator().manual_seed(0)
    assert Background.of("auto", False, CPU).draw(generator).tolist() == [0, 0, 0]
    assert Background.of("white", True, CPU).draw(generator).tolist() == [1, 1, 1]
    for background in (Background.of("auto", True, CPU), Background.of("random", False, CPU)):
        one, two = background.draw(generator), background.draw(generator)
        assert not torch.equal(one, two) and one.min() >= 0 and one.max() <= 1
    assert Background.of("auto", True, CPU).shown.tolist() == [1, 1, 1]
    assert Background.of("white", False, CPU).shown.tolist() == [1, 1, 1]
    assert Background.of("auto", False, CPU).shown.tolist() == [0, 0, 0]
