"""Training goes on from splats that were edited, and the edits stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.editing.placement import placed
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.splats.change import ColorChange, SplatChange
from backend.splats.cloud import SplatCloud
from backend.splats.moved import moved_cloud
from backend.splats.rendering import CloudRenderer
from backend.splats.sh_basis import C0
from backend.training.closed_space import ClosedSpace
from backend.training.edited_photos import edited_photos
from backend.training.given_splats import GivenSplats, parameters_of_cloud, same_places
from backend.training.inputs import TrainingInputs, TrainingResult
from shared_protocol.errors import UserError

MakeInputs = Callable[..., TrainingInputs]
FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
METHODS = ("default", "mcmc")
RED_BALL = np.array([0.8, 0, 0])  # of radius 0.6, as the photos of `ball_inputs` show it


def trained(inputs: TrainingInputs, method: str = "mcmc", **settings) -> TrainingResult:
    found = find(method)
    return found.run(found.settings_type(**{"background": "black", **settings}), inputs, QuietJob())


@pytest.fixture(scope="module")
def finished(ball_inputs: MakeInputs) -> SplatCloud:
    return trained(ball_inputs(steps=250, max_splats=500)).cloud


def continued(ball_inputs: MakeInputs, given: GivenSplats, method: str, steps: int = 60) -> TrainingResult:
    """As the jobs do it: the photos are edited like the splats."""
    inputs = ball_inputs(steps=steps, max_splats=700)
    photos = edited_photos(
        inputs.train_photos, given.edits, device="cpu", near=0.01, antialiased=False, background=(0.0, 0.0, 0.0)
    )
    return trained(replace(inputs, train_photos=photos, start=given), method)


def near_red(cloud: SplatCloud) -> np.ndarray:
    return np.linalg.norm(cloud.means - RED_BALL, axis=1) < 0.75


def red_seen(cloud: SplatCloud, inputs: TrainingInputs) -> float:
    """Mean redness of the pixels in which a photo shows the red ball."""
    seen = []
    for photo in inputs.train_photos:
        picture = CloudRenderer(cloud, "cpu").draw(photo.camera).color.numpy()
        is_red = (photo.rgb == (255, 0, 0)).all(axis=-1)
        seen.append((picture[..., 0] - picture[..., 1:].mean(axis=-1))[is_red])
    return float(np.concatenate(seen).mean())


@pytest.mark.parametrize("method", METHODS)
def test_going_on_begins_where_the_splats_are(ball_inputs: MakeInputs, finished: SplatCloud, method: str) -> None:
    inputs = replace(ball_inputs(steps=1, max_splats=700), start=GivenSplats(finished))
    made = trained(inputs, method, refine_from=1.0)
    assert len(made.cloud) == len(finished) and made.origins is not None
    moved = np.abs(made.cloud.means - finished.means[made.origins]).max(axis=1)
    assert np.quantile(moved, 0.8) < 0.02, "only what is nearly invisible is kicked about"
    frame = inputs.frame()
    values = parameters_of_cloud(finished, frame, torch.device("cpu"), sh_degree=3)
    assert np.allclose(frame.cloud_to_capture(_cloud(values)).means, finished.means, atol=1e-5)


def _cloud(values: dict[str, torch.Tensor]) -> SplatCloud:
    sh = torch.cat([values["sh0"], values["shN"]], 1)
    arrays = (values[n] for n in ("means", "quats", "scales", "opacities"))
    return SplatCloud(*(t.numpy() for t in (*arrays, sh)))


@pytest.mark.parametrize("method", METHODS)
def test_what_was_deleted_does_not_grow_back(ball_inputs: MakeInputs, finished: SplatCloud, method: str) -> None:
    inputs = ball_inputs()
    assert red_seen(finished, inputs) > 0.5
    left = finished.select(~near_red(finished))
    again = trained(replace(ball_inputs(steps=120, max_splats=900), start=GivenSplats(left)), method).cloud
    assert red_seen(again, inputs) > 0.2, "without knowing of the edit it does grow back"
    made = continued(ball_inputs, GivenSplats(left, edits=((finished, left),)), method, steps=120).cloud
    assert red_seen(made, inputs) < red_seen(left, inputs) + 0.05
    space = GivenSplats(left, edits=((finished, left),)).closed_space(inputs.frame(), torch.device("cpu"))
    assert space is not None and not space.holds(torch.tensor(inputs.frame().points(made.means))).any()


@pytest.mark.parametrize("method", METHODS)
def test_colours_that_were_edited_stay(ball_inputs: MakeInputs, finished: SplatCloud, method: str) -> None:
    red = near_red(finished)
    swap = ColorChange(np.eye(4)[[1, 0, 2]][:, :4] * np.array([1, 1, 1, 0.0]))  # red becomes green
    green = SplatChange(red, color=swap).apply(finished)
    inputs = ball_inputs()
    plain = trained(replace(ball_inputs(steps=120, max_splats=700), start=GivenSplats(green)), method).cloud
    assert red_seen(plain, inputs) > 0.1, "without knowing of the edit the photos win"
    made = continued(ball_inputs, GivenSplats(green, edits=((finished, green),)), method, steps=120).cloud
    assert red_seen(green, inputs) < -0.2 and abs(red_seen(made, inputs) - red_seen(green, inputs)) < 0.12


@pytest.mark.parametrize("method", METHODS)
def test_a_selection_can_be_all_that_learns(ball_inputs: MakeInputs, finished: SplatCloud, method: str) -> None:
    learns = near_red(finished)
    made = continued(ball_inputs, GivenSplats(finished, learns=learns), method, steps=80)
    count = int((~learns).sum())
    for name in FIELDS:
        assert np.array_equal(getattr(made.cloud, name)[:count], getattr(finished, name)[~learns]), name
    assert made.origins is not None and np.array_equal(made.origins[:count], np.flatnonzero(~learns))
    rest = made.cloud.select(np.arange(count, len(made.cloud)))
    moved = np.abs(rest.sh[:, 0] - finished.sh[made.origins[count:], 0]).max()
    assert moved > 0.01 and learns[made.origins[count:]].all()


@pytest.mark.parametrize("method", METHODS)
def test_splats_remember_which_they_come_from(ball_inputs: MakeInputs, finished: SplatCloud, method: str) -> None:
    made = continued(ball_inputs, GivenSplats(finished), method, steps=120)
    assert made.origins is not None and made.origins.shape == (len(made.cloud),)
    assert len(made.cloud) > len(finished) or method == "default"
    assert made.origins.min() >= 0 and made.origins.max() < len(finished)
    assert len(np.unique(made.origins)) > 0.5 * len(finished)
    # A selection is a place: what came of its splats is where they were.
    selected = near_red(finished)
    follows = selected[made.origins]
    inside = np.linalg.norm(made.cloud.means - RED_BALL, axis=1) < 1.2
    assert follows.any() and (inside[follows]).mean() > 0.9


def test_photos_change_only_where_the_edit_is_seen(ball_inputs: MakeInputs, finished: SplatCloud) -> None:
    inputs = ball_inputs(transparent=True)
    options = {"device": "cpu", "near": 0.01, "antialiased": False, "background": (0.0, 0.0, 0.0)}
    assert edited_photos(inputs.train_photos, (), **options) == list(inputs.train_photos)
    left = finished.select(~near_red(finished))
    edited = edited_photos(inputs.train_photos, ((finished, left),), **options)
    reds = []
    for old, new in zip(inputs.train_photos, edited, strict=True):
        changed = (old.rgb != new.rgb).any(axis=-1)
        is_red = (old.rgb == (255, 0, 0)).all(axis=-1)
        is_blue = (old.rgb == (0, 0, 255)).all(axis=-1)
        assert new.alpha is not None and old.alpha is not None
        reds.append(new.rgb[is_red][:, 0])
        assert changed[is_red].mean() > 0.9 and np.abs(new.rgb[is_blue].astype(int) - old.rgb[is_blue]).mean() < 25
    assert np.concatenate(reds).mean() < 0.75 * 255


def test_photos_go_through_each_round_of_edits(ball_inputs: MakeInputs, finished: SplatCloud) -> None:
    inputs = ball_inputs(transparent=True)
    options = {"device": "cpu", "near": 0.01, "antialiased": False, "background": (0.0, 0.0, 0.0)}
    left = finished.select(~near_red(finished))
    dark = replace(left, sh=left.sh - np.float32(0.5))
    once = edited_photos(inputs.train_photos, ((finished, left),), **options)
    both = edited_photos(inputs.train_photos, ((finished, left), (left, dark)), **options)
    then = edited_photos(once, ((left, dark),), **options)
    assert all((one.rgb == other.rgb).all() for one, other in zip(both, then, strict=True))
    assert any((one.rgb != other.rgb).any() for one, other in zip(both, once, strict=True))
    gone = GivenSplats(dark, edits=((finished, left), (left, dark))).closed_space(inputs.frame(), torch.device("cpu"))
    assert gone is not None, "what the first round deleted stays away"


def test_space_is_closed_inside_too_and_open_where_splats_stayed() -> None:
    generator = np.random.default_rng(0)
    shell = generator.normal(size=(4000, 3))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    kept = np.array([[0.3, 0.0, 0.0]])
    space = ClosedSpace.around(shell, kept, torch.device("cpu"))
    points = torch.tensor([[0.0, 0, -0.4], [1.0, 0, 0], [0.3, 0, 0], [1.6, 0, 0], [float("nan"), 0, 0]])
    assert space.holds(points).tolist() == [True, True, False, False, False]


def test_nothing_to_learn_is_refused(finished: SplatCloud) -> None:
    with pytest.raises(UserError, match="no splats to train on"):
        GivenSplats(finished, learns=np.zeros(len(finished), bool))
    assert same_places(finished, finished.select(np.arange(5))).sum() == 5
    assert (finished.sh[:, 0] * C0).dtype == np.float32


def test_a_resumed_training_of_edited_splats_is_the_same(
    ball_inputs: MakeInputs, finished: SplatCloud, tmp_path
) -> None:
    given = GivenSplats(finished, learns=near_red(finished))

    class Job(QuietJob):
        def __init__(self, stops_after: int = 0) -> None:
            self.folder, self.stops_after = tmp_path, stops_after

        def progress(self, step: int, steps: int, **figures: float) -> None:
            self.stop_early = step == self.stops_after

    inputs = replace(ball_inputs(steps=40, max_splats=700), start=given)
    method = find("mcmc")
    settings = method.settings_type(seed=3)
    whole = method.run(settings, inputs, QuietJob())
    method.run(settings, inputs, Job(17))
    resumed = method.run(settings, replace(inputs, resume=True), Job())
    assert np.array_equal(whole.origins, resumed.origins)
    assert all(np.array_equal(getattr(whole.cloud, n), getattr(resumed.cloud, n)) for n in FIELDS)


def test_the_same_splats_are_known_again_after_both_clouds_were_carried(finished: SplatCloud) -> None:
    matrix = placed(move=(300.0, -20.0, 5.0), turn=(20.0, 30.0, 40.0), scale=(7.0, 7.0, 7.0))
    rows = np.flatnonzero(~near_red(finished))
    far = replace(finished, means=finished.means * np.geomspace(1, 1e4, len(finished), dtype=np.float32)[:, None])
    for cloud in (finished, far):
        after = moved_cloud(moved_cloud(cloud.select(rows), matrix), matrix)
        found = same_places(moved_cloud(cloud, matrix @ matrix), after)
        assert 0 < len(rows) < len(cloud) and np.array_equal(np.flatnonzero(found), rows)
    shifted = replace(finished, means=finished.means + np.float32([0.001, 0, 0]))
    assert not same_places(finished, shifted).any(), "but not what was moved by a thousandth"
