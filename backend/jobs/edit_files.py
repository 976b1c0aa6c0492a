"""Edits from files to files: one, or a recipe of several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult, PlacedCloud
from backend.jobs.device import DeviceChoice, DeviceKind, choose_device
from backend.jobs.edit_jobs import box_of, matrix_of
from backend.jobs.recipes import EditStep
from backend.jobs.running import RunningJob
from backend.jobs.selecting import combined, find_splats
from backend.jobs.settings import method_and_settings
from backend.splats.cloud import SplatCloud
from backend.splats.io import SplatContent, read_and_warn, read_cloud, refuse_unwritable_name, write_splats
from backend.splats.io.frames import up_in
from shared_protocol.errors import UserError


@dataclass(frozen=True)
class EditRequest:
    splats: Path
    output: Path
    steps: tuple[EditStep, ...]
    beside: Path = Path()  # the folder that names of files in the steps are in
    apart: Path | None = None  # where splats go that are separated
    device: DeviceChoice = "auto"


class EditReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    splats: int
    splats_before: int
    steps: int
    apart: str | None = None
    splats_apart: int = 0


def edit_file(request: EditRequest, job: RunningJob) -> EditReport:
    """Raises UserError for what the user can mend; then nothing is written."""
    chosen = [method_and_settings("editing", step.method, step.settings) for step in request.steps]
    for path in (request.output, *([] if request.apart is None else [request.apart])):
        refuse_unwritable_name(path)
    content = read_and_warn(request.splats)
    count, part, selected = len(content), None, np.zeros(len(content), bool)
    device = choose_device(request.device)
    for number, (step, (method, settings)) in enumerate(zip(request.steps, chosen, strict=True), 1):
        of = f" ({number} of {len(request.steps)})" if len(request.steps) > 1 else ""
        job.stage(method.label + of)
        selected = _selected(step, content.cloud, selected, device)
        is_part = bool(step.select) or step.mask is not None
        result: EditingResult = method.run(
            settings, _inputs(step, content, selected if is_part else None, request), job
        )
        sources = result.sources()
        selected = (sources >= 0) & selected[sources] if result.selected is None else result.selected
        if result.apart is not None:
            part = content.select(result.apart)
        content = replace(content, cloud=result.cloud, extra=result.carried(content.extra), is_finite=False)
    if request.apart is not None:
        if part is None:
            raise UserError("bad_input", "No splats were separated.", "Leave --apart out, or use separate.")
        write_splats(request.apart, part)
    write_splats(request.output, content)
    return EditReport(
        output=str(request.output),
        splats=len(content),
        splats_before=count,
        steps=len(request.steps),
        apart=None if request.apart is None else str(request.apart),
        splats_apart=0 if part is None else len(part),
    )


def _selected(step: EditStep, cloud: SplatCloud, carried: np.ndarray, device: DeviceKind) -> np.ndarray:
    """bool [N]: what is selected when the step is done. carried: what was selected after the one before."""
    if step.mask is not None:
        return step.mask.selected(len(cloud))
    selected = np.zeros(len(cloud), bool)
    for how in step.select:
        if how.mode == "carried":
            selected = carried
        elif how.by is not None:
            selected = combined(selected, find_splats(cloud, selected, how.by, device=device), how.mode)
    return selected


def _inputs(step: EditStep, content: SplatContent, selected: np.ndarray | None, request: EditRequest) -> EditingInputs:
    try:
        mesh = None if step.mesh is None else step.mesh.mesh()
    except ValueError as error:
        raise UserError("bad_input", f"The mesh of '{step.method}' is none: {error}.") from error
    return EditingInputs(
        content.cloud,
        selected=selected,
        box=None if step.box is None else box_of(step.box),
        mesh=mesh,
        matrix=None if step.matrix is None else matrix_of(step.matrix),
        points=np.array(step.points, np.float64).reshape(-1, 3),
        others=tuple(
            PlacedCloud(read_cloud(request.beside / other.file), matrix_of(other.asset_from_other))
            for other in step.others
        ),
        up=up_in(content.frame),
        device=choose_device(request.device),
        antialiased=bool(content.antialiased),
    )
