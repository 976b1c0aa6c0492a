"""What every method promises, checked for each one that the registry finds, on its defaults with a tiny input."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from backend.captures.capture import PointCloud
from backend.captures.load import load_capture
from backend.captures.made_capture import make_capture
from backend.captures.photos import read_photos
from backend.editing.box import Box
from backend.editing.inputs import EditingInputs, PlacedCloud
from backend.meshing.inputs import MeshingInputs
from backend.methods import registry
from backend.methods.job import Cancelled, QuietJob
from backend.methods.registry import Method
from backend.rigging.binding import bind_to_mesh
from backend.rigging.inputs import RiggingInputs
from backend.splats.bounds import robust_bounds
from backend.splats.representation import CloudRepresentation
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan
from tests.made_splats import sphere, with_shine

STEPS = 30
METHODS = registry.all_methods()


class RecordingJob(QuietJob):
    """Remembers what it was told; cancels or stops early after `ends_after` steps."""

    def __init__(self, folder: Path | None = None, *, cancels_after: int | None = 0, stops_after: int = 0) -> None:
        """cancels_after: None = at the first report; 0 = never."""
        self.folder = folder
        self.cancels_after, self.stops_after = cancels_after, stops_after
        self.heard: list[tuple[int, int, dict[str, float]]] = []
        self.notes: list[str] = []

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.heard.append((step, steps, figures))
        if self.cancels_after is None or step == self.cancels_after:
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
    return TrainingInputs(photos[0], photos[1], capture.points, plan, mesh=_octahedron())


@pytest.fixture(scope="module")
def inputs_by_category(training_inputs: TrainingInputs) -> dict[str, Any]:
    """A new category of methods needs a line here."""
    cloud = with_shine(sphere(1.0, 600), 1)
    bounds = robust_bounds(cloud)
    assert bounds is not None
    mesh = _octahedron()
    return {
        "training": training_inputs,
        "editing": EditingInputs(
            cloud,
            Box.between(np.array([-1.0, -1, 0]), np.array([1.0, 1, 2])),
            selected=cloud.means[:, 0] > 0.3,
            mesh=mesh,
            points=np.array([[0.0, 0, 0], [1, 0, 0.1], [0, 1, 0]]),
            others=(PlacedCloud(sphere(0.2, 50), np.diag([2.0, 2, 2, 1])),),
        ),
        "meshing": MeshingInputs(CloudRepresentation(cloud, "cpu"), bounds),
        "rigging": RiggingInputs(cloud, mesh, bind_to_mesh(cloud, mesh, distance=9.0)),
    }


@pytest.fixture
def inputs_of(inputs_by_category: dict[str, Any]) -> Iterator[Callable[[Method], Any]]:
    before = copy.deepcopy(inputs_by_category)
    yield lambda method: inputs_by_category[method.category]
    for category, inputs in inputs_by_category.items():
        assert _same(inputs, before[category]), f"a {category} method changed its input"


every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
every_training = pytest.mark.parametrize(
    "method", [method for method in METHODS if method.category == "training"], ids=lambda method: method.id
)


def test_the_registry_finds_the_methods_of_every_kind() -> None:
    found = {(method.category, method.id) for method in METHODS}
    assert {("training", "default"), ("training", "mcmc"), ("editing", "crop"), ("meshing", "tsdf")} <= found
    assert {("rigging", "bind"), ("rigging", "apply_pose")} <= found


@every_method
def test_runs_on_its_defaults_and_reports_progress_to_the_end(
    method: Method, inputs_of: Callable[[Method], Any]
) -> None:
    job = RecordingJob()
    assert method.run(method.settings_type(), inputs_of(method), job) is not None
    steps = [step for step, _, _ in job.heard]
    assert steps == sorted(steps) and job.heard[-1][0] == job.heard[-1][1] > 0
    assert len({of for _, of, _ in job.heard}) == 1


@every_method
def test_cancelled_leaves_at_once(method: Method, inputs_of: Callable[[Method], Any], tmp_path: Path) -> None:
    job = RecordingJob(tmp_path, cancels_after=None)
    with pytest.raises(Cancelled):
        method.run(method.settings_type(), inputs_of(method), job)
    assert len(job.heard) == 1


@every_method
def test_the_same_input_gives_the_same_result(method: Method, inputs_of: Callable[[Method], Any]) -> None:
    one, two = (method.run(method.settings_type(), inputs_of(method), QuietJob()) for _ in range(2))
    assert _same(one, two)


@every_training
def test_a_training_learns_in_every_step(method: Method, inputs_of: Callable[[Method], Any]) -> None:
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


@every_training
def test_cancelled_leaves_at_once_with_a_checkpoint(
    method: Method, inputs_of: Callable[[Method], Any], tmp_path: Path
) -> None:
    job = RecordingJob(tmp_path, cancels_after=4)
    with pytest.raises(Cancelled):
        method.run(method.settings_type(), inputs_of(method), job)
    assert len(job.heard) == 4
    assert (tmp_path / "step_00000004.json").is_file()


@every_training
def test_stopped_early_returns_what_there_is(method: Method, inputs_of: Callable[[Method], Any]) -> None:
    job = RecordingJob(stops_after=5)
    result = method.run(method.settings_type(), inputs_of(method), job)
    assert len(job.heard) == 5
    assert result.steps == 5 and not result.finished
    assert len(result.cloud) > 0


@every_training
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
            changed[setting.name] = int(setting.default or setting.minimum or 1) + 1
        elif setting.kind == "number":
            changed[setting.name] = min((setting.default or 0.1) * 1.01, setting.maximum or float("inf"))
        elif setting.kind == "choice":
            changed[setting.name] = setting.choices[-1]
    for settings in (method.settings_type(), method.settings_type(**changed)):
        assert msgspec.json.decode(msgspec.json.encode(settings), type=method.settings_type) == settings


def _octahedron() -> TriangleMesh:
    corners = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    faces = [[a, b, 2] for a, b in ((0, 1), (1, 3), (3, 4), (4, 0))] + [
        [b, a, 5] for a, b in ((0, 1), (1, 3), (3, 4), (4, 0))
    ]
    return TriangleMesh(corners, np.array(faces, np.int32))


def _same(one: Any, two: Any) -> bool:
    """Equal to the last bit, through dataclasses, lists and arrays."""
    if isinstance(one, np.ndarray):
        return one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(_same(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, torch.Tensor):
        return _same(one.numpy(), two.numpy())
    if isinstance(one, CloudRepresentation):
        return _same(vars(one), vars(two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if hasattr(one, "__dataclass_fields__"):
        return all(_same(getattr(one, name), getattr(two, name)) for name in one.__dataclass_fields__)
    return one == two


def test_the_comparison_of_inputs_sees_a_single_pixel(training_inputs: TrainingInputs) -> None:
    other = copy.deepcopy(training_inputs)
    assert _same(training_inputs, other)
    other.train_photos[0].rgb[0, 0, 0] ^= 1
    assert not _same(training_inputs, other)
    assert isinstance(other.points, PointCloud)
