"""Keeps the splats that pictures are made of, and teaches them to look like all."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from backend.captures.capture import Photo
from backend.editing.importance import shares_of_pictures
from backend.editing.inputs import EditingInputs, EditingResult
from backend.meshing.viewpoints import SMALL, Viewpoint, small_viewpoints
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.rendering import CloudRenderer
from backend.splats.representation import Representation
from backend.training.density import NoDensityControl
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingInputs
from backend.training.loop import train
from backend.training.losses import photometric
from backend.training.plan import DeviceKind, TrainingPlan
from backend.training.recipe import Recipe
from backend.training.settings import TrainingSettings
from shared_protocol.schema import setting

_FAINT = 1 / 64  # of a picture's alpha; what a refit shows there is nothing


class DecimateSettings(msgspec.Struct, frozen=True, kw_only=True):
    share: Annotated[
        float, setting("Share", "How much of the splats stay; a count comes first.", minimum=0.001, maximum=1)
    ] = 0.5
    count: (
        Annotated[int, setting("Count", "How many splats stay; without a number, the share says.", minimum=1)] | None
    ) = None
    views: Annotated[
        int,
        setting(
            "Views",
            "From how many sides the splats are looked at: of the capture, where it is known, else from all around.",
            minimum=4,
            maximum=1000,
            advanced=True,
        ),
    ] = 32
    refit_steps: Annotated[
        int,
        setting(
            "Refit",
            "The splats that stay learn for so many steps to look like all did before; 0 = they stay as they are.",
            minimum=0,
            maximum=30_000,
            unit="steps",
        ),
    ] = 0
    seed: Annotated[int, setting("Seed", "The same seed gives the same refit.", minimum=0, advanced=True)] = 0


@method(
    label="Decimate",
    help="Keeps to a budget of splats: those that take most of the pictures stay, and may learn to stand in for the "
    "others.",
)
def run(config: DecimateSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    chosen, cloud = inputs.chosen(), inputs.cloud
    outside, opened = _viewpoints(inputs, config.views)
    looks = [*outside, *opened]
    steps = len(looks) + config.refit_steps + 1

    def report(done: int, total: int) -> None:
        job.progress(done, steps)

    shares = shares_of_pictures(
        cloud,
        [(look.camera, look.near) for look in looks],
        device=inputs.device,
        antialiased=inputs.antialiased,
        on_progress=report,
    )
    keep = ~chosen | _largest(np.where(chosen, shares, -1), min(_wanted(config, int(chosen.sum())), int(chosen.sum())))
    result = EditingResult.kept(inputs, keep, hint="Keep more splats.")
    job.note(f"{int((keep & chosen).sum()):,} of {int(chosen.sum()):,} splats stay.")
    if config.refit_steps and not keep.all():
        given = GivenSplats(result.cloud, learns=None if chosen.all() else chosen[keep])
        result = _refitted(config, inputs, result, given, outside, _Refit(job, len(looks), steps))
    job.progress(steps, steps)
    return result


def _wanted(config: DecimateSettings, chosen: int) -> int:
    return config.count or max(1, round(config.share * chosen))


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """bool [N]: the `count` largest; of equal ones the first."""
    keep = np.zeros(len(values), bool)
    keep[np.argsort(-values, kind="stable")[:count]] = True
    return keep


def _viewpoints(inputs: EditingInputs, count: int) -> tuple[list[Viewpoint], list[Viewpoint]]:
    """Those that see the whole, and others that see it cut open in the middle: else all that is in a room, or in an
    object, would go. Raises UserError for splats at one place."""
    cameras = inputs.cameras()
    if cameras:
        return small_viewpoints(inputs.cloud, cameras, count), []
    outside = small_viewpoints(inputs.cloud, (), math.ceil(count / 2))
    opened = [Viewpoint(look.camera, (look.near + look.far) / 2, look.far) for look in outside]
    return outside, opened


def _refitted(
    config: DecimateSettings,
    inputs: EditingInputs,
    result: EditingResult,
    given: GivenSplats,
    looks: list[Viewpoint],
    job: _Refit,
) -> EditingResult:
    """Learns from pictures of all splats, without adding or removing any."""
    near = min(look.near for look in looks)  # a training has one for all photos
    renderer = CloudRenderer(inputs.cloud, inputs.device, antialiased=inputs.antialiased)
    photos = [_photo(renderer, look.camera, near, number) for number, look in enumerate(looks)]
    device: DeviceKind = "cuda" if inputs.device == "cuda" else "cpu"
    plan = TrainingPlan(
        device=device, quality="draft", max_pixels=SMALL**2, steps=config.refit_steps, max_splats=len(result.cloud)
    )
    training = TrainingInputs(photos, (), None, plan, start=given)
    settings = TrainingSettings(
        seed=config.seed,
        sh_degree=result.cloud.sh_degree,
        antialiased=inputs.antialiased,
        near_plane=max(1e-4, near / training.frame().extent),
        # Splats that are nearly right already need no haste.
        short_run_means=0.0,
        short_run_colors=0.0,
    )
    recipe = Recipe("decimate", NoDensityControl(), (photometric(settings.ssim_weight),))
    made = train(settings, training, job, recipe)
    assert made.origins is not None
    order = np.argsort(made.origins, kind="stable")
    if len(order) < len(result.cloud):  # broken ones were left out: then none is taken
        return result
    refitted = made.cloud.select(order)
    before, after = (_difference(cloud, inputs, photos, near) for cloud in (result.cloud, refitted))
    if not after < before:
        job.note("The refit brought nothing, because the splats that stay look like all already.")
        return result
    return EditingResult(refitted, result.keep)


def _difference(cloud: SplatCloud, inputs: EditingInputs, photos: list[Photo], near: float) -> float:
    """Mean squared difference of what the cloud shows from the photos, on black, sRGB 0..1."""
    renderer = CloudRenderer(cloud, inputs.device, antialiased=inputs.antialiased)
    squares = []
    for photo in photos:
        shown = renderer.draw(photo.camera, near=near).color.cpu().numpy()
        assert photo.alpha is not None
        target = photo.rgb.astype(np.float32) * (photo.alpha[..., None] / np.float32(255 * 255))
        squares.append(float(np.square(shown - target).mean()))
    return float(np.mean(squares))


def _photo(renderer: CloudRenderer, camera: Camera, near: float, number: int) -> Photo:
    drawing = renderer.draw(camera, near=near)
    alpha = drawing.alpha.clamp(0, 1)
    straight = drawing.color / alpha.clamp_min(_FAINT)[..., None]
    rgb = (straight.clamp(0, 1) * 255).round().byte().cpu().numpy()
    return Photo(f"{number}", camera, rgb, (alpha * 255).round().byte().cpu().numpy(), None)


class _Refit:
    """The part of an edit's job that a training sees: its steps come after those that were done."""

    folder: Path | None = None

    def __init__(self, job: Job, done: int, steps: int) -> None:
        self._job, self._done, self._steps = job, done, steps

    @property
    def stop_early(self) -> bool:
        return self._job.stop_early

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self._job.progress(self._done + step, self._steps, **figures)

    def note(self, text: str) -> None:
        self._job.note(text)

    def show(self, live: Representation) -> None:
        """It is drawn as it was until it is done."""

    def keep_with(self, save: Callable[[], None]) -> None:
        """It is too short to be continued."""
