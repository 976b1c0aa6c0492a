"""What every method promises, checked for each one that the registry finds, on its defaults with a tiny input."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backend.captures.capture import PointCloud
from backend.captures.load import load_capture
from backend.captures.made_capture import make_capture
from backend.captures.photos import read_photos
from backend.methods import registry
from backend.methods.job import Cancelled, QuietJob
from backend.methods.registry import Method
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan

STEPS = 30
METHODS = registry.all_methods()


class RecordingJob(QuietJob):
    """Remembers what it was told; cancels or stops early after `ends_after` steps."""

    def __init__(self, folder: Path | None = None, *, cancels_after: int = 0, stops_after: int = 0) -> None:
        self.folder = folder
        self.cancels_after, self.stops_after = cancels_after, stops_after
        self.heard: list[tuple[int, int, dict[str, float]]] = []
        self.notes: list[str] = []

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.heard.append((step, steps, figures))
        if step == self.cancels_after:
            raise Cancelled
        self.stop_early = step == self.stops_after

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def training_inputs(tmp_path_factory: pytest.TempPathFactory) -> TrainingInputs:
    capture = load_capture(make_capture(tmp_path_factory.mktemp("made"), views=9, width=40, height=28, points=300))
    plan = TrainingPlan(device="cpu", quality="draft", max_pixels=2000, steps=STEPS, max_splats=500)
    photos = [
        read_photos(v, max_pixels=plan.max_pixels, masks="off") for v in (capture.train_views, capture.test_views)
    ]
    assert capture.points is not None
    return TrainingInputs(photos[0], photos[1], capture.points, plan)


@pytest.fixture
def inputs_of(training_inputs: TrainingInputs) -> Iterator[Callable[[Method], Any]]:
    by_category = {"training": training_inputs}
    before = copy.deepcopy(by_category)
    yield lambda method: by_category[method.category]
    for category, inputs in by_category.items():
        assert _same(inputs, before[category]), f"a {category} method changed its input"


every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)


def test_the_registry_finds_the_training_methods() -> None:
    assert {"default", "mcmc"} <= {method.id for method in METHODS if method.category == "training"}


@every_method
def test_runs_on_its_defaults_and_reports_every_step(method: Method, inputs_of: Callable[[Method], Any]) -> None:
    inputs, job = inputs_of(method), RecordingJob()

    result = method.run(method.settings_type(), inputs, job)

    assert [step for step, _, _ in job.heard] == list(range(1, STEPS + 1))
    assert {steps for _, steps, _ in job.heard} == {STEPS}
    assert all({"loss", "splats"} <= figures.keys() for _, _, figures in job.heard)
    assert any("psnr" in figures for _, _, figures in job.heard)
    assert result.finished and result.steps == STEPS
    assert 0 < len(result.cloud) <= inputs.plan.max_splats
    assert result.cloud.finite().all()
    first, last = (np.mean([f["loss"] for _, _, f in part]) for part in (job.heard[:8], job.heard[-8:]))
    assert last < first, "nothing was learned"


@every_method
def test_cancelled_leaves_at_once_with_a_checkpoint(
    method: Method, inputs_of: Callable[[Method], Any], tmp_path: Path
) -> None:
    job = RecordingJob(tmp_path, cancels_after=4)
    with pytest.raises(Cancelled):
        method.run(method.settings_type(), inputs_of(method), job)
    assert len(job.heard) == 4
    assert (tmp_path / "step_00000004.json").is_file()


@every_method
def test_stopped_early_returns_what_there_is(method: Method, inputs_of: Callable[[Method], Any]) -> None:
    job = RecordingJob(stops_after=5)
    result = method.run(method.settings_type(), inputs_of(method), job)
    assert len(job.heard) == 5
    assert result.steps == 5 and not result.finished
    assert len(result.cloud) > 0


@every_method
def test_the_same_seed_gives_the_same_result(method: Method, inputs_of: Callable[[Method], Any]) -> None:
    settings = method.settings_type(seed=7)
    one, two = (method.run(settings, inputs_of(method), QuietJob()).cloud for _ in range(2))
    other = method.run(method.settings_type(seed=8), inputs_of(method), QuietJob()).cloud
    assert _same(one, two)
    assert not _same(one, other)


@every_method
def test_settings_survive_json(method: Method) -> None:
    changed: dict[str, Any] = {}
    for setting in method.settings:
        if setting.kind == "boolean":
            changed[setting.name] = not setting.default
        elif setting.kind == "integer":
            changed[setting.name] = (setting.default or 1) + 1
        elif setting.kind == "number":
            changed[setting.name] = min((setting.default or 0.1) * 1.01, setting.maximum or float("inf"))
        elif setting.kind == "choice":
            changed[setting.name] = setting.choices[-1]
    for settings in (method.settings_type(), method.settings_type(**changed)):
        assert msgspec.json.decode(msgspec.json.encode(settings), type=method.settings_type) == settings


def _same(one: Any, two: Any) -> bool:
    """Equal to the last bit, through dataclasses, lists and arrays."""
    if isinstance(one, np.ndarray):
        return one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    if hasattr(one, "__dataclass_fields__"):
        return all(_same(getattr(one, name), getattr(two, name)) for name in one.__dataclass_fields__)
    return one == two


def test_the_comparison_of_inputs_sees_a_single_pixel(training_inputs: TrainingInputs) -> None:
    other = copy.deepcopy(training_inputs)
    assert _same(training_inputs, other)
    other.train_photos[0].rgb[0, 0, 0] ^= 1
    assert not _same(training_inputs, other)
    assert isinstance(other.points, PointCloud)
