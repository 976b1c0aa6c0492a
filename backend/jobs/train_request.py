"""What may be asked of a training, and what is wrong with it before anything is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from backend.jobs.device import DeviceChoice, choose_device
from backend.jobs.settings import chosen_settings
from backend.jobs.splat_files import refuse_unwritable_splat_name
from backend.methods import registry
from backend.training.given_splats import GivenSplats
from backend.training.plan import Quality
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import UserError

MaskChoice = Literal["auto", "ignore", "segment", "alpha", "off"]
DEFAULT_METHOD = "mcmc"


@dataclass(frozen=True)
class TrainRequest:
    """What a user may ask of a training; None means "choose for me"."""

    capture: Path
    output: Path
    report: Path | None = None
    method: str = DEFAULT_METHOD
    quality: Quality = "normal"
    settings: Mapping[str, object] = field(default_factory=dict)  # of the method; text as typed, or values
    mesh: Path | None = None  # that the splats hang on, for methods that take one
    poses: Path | None = None  # of the mesh; None = those in the capture's folder, where there are any
    given: Callable[[], GivenSplats] | None = None  # reads what training goes on from; None = points
    frame_from_capture: np.ndarray | None = None  # [4, 4], what carried the given splats out of the capture's frame
    steps: int | None = None
    max_splats: int | None = None
    resolution: int | None = None  # longer side of a photo in pixels
    seed: int | None = None
    device: DeviceChoice = "auto"
    masks: MaskChoice = "auto"
    strict: bool = False  # a missing photo is an error
    resume: bool = False
    keep_checkpoints: bool = False


def check_training(request: TrainRequest) -> None:
    """Raises UserError now for what can be known before anything is read."""
    method, _ = chosen_method(request)
    if method.takes_mesh and request.mesh is None:
        message = f"The method '{method.id}' needs a mesh."
        raise UserError("bad_input", message, "Give the mesh that the photos show (--mesh).")
    if not method.takes_mesh and (request.mesh is not None or request.poses is not None):
        able = ", ".join(m.id for m in registry.all_methods() if m.category == "training" and m.takes_mesh)
        raise UserError("bad_input", f"The method '{method.id}' trains without a mesh.", f"Methods on a mesh: {able}.")
    if method.takes_mesh and request.given is not None:
        raise UserError("bad_input", f"The method '{method.id}' starts from its mesh.", "Use mcmc or default to go on.")
    choose_device(request.device)


def chosen_method(request: TrainRequest) -> tuple[registry.Method, TrainingSettings]:
    """Raises UserError when there is no such method, it does not train, or a setting is wrong."""
    method = registry.find(request.method)
    if method.category != "training":
        trainers = ", ".join(m.id for m in registry.all_methods() if m.category == "training")
        raise UserError("bad_input", f"The method '{method.id}' does not train.", f"Methods that train: {trainers}.")
    given = dict(request.settings)
    if request.seed is not None:
        given["seed"] = request.seed
    settings = chosen_settings(method, given)
    if not isinstance(settings, TrainingSettings):
        raise TypeError(f"{method.id}: a training method's settings inherit TrainingSettings")
    background_color(settings.background)  # raises for what is no colour, before minutes of work
    return method, settings


def refuse_unwritable_outputs(request: TrainRequest) -> None:
    """Raises UserError now, and not after minutes of training."""
    refuse_unwritable_splat_name(request.output)
    for path in (request.output, request.report):
        if path is not None:
            _refuse_unwritable(path)


def _refuse_unwritable(path: Path) -> None:
    if path.is_dir():
        raise UserError("bad_input", f"'{path}' is a folder.", f"Give a file name such as {path / 'scene.ply'}.")
    folder = path.absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("bad_input", f"The folder '{folder}' cannot be made: {error.strerror or error}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError("bad_input", f"The folder '{folder}' cannot be written to.", "Choose another folder.")
