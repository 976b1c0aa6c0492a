"""Splat files into another one: format, frame, degree; several become one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from backend.editing.box import Box
from backend.jobs.running import RunningJob
from backend.jobs.splat_files import read_splat_file, refuse_unwritable_splat_name, write_splat_file
from backend.splats.io import BOUND, format_by_name
from backend.splats.io.content import SplatContent, turned
from backend.splats.io.frames import frame_called
from backend.splats.io.joined import joined
from backend.splats.moved import moved_cloud


@dataclass(frozen=True)
class ConvertRequest:
    """transform and box are in the frame that is written; the box chooses from what was transformed."""

    inputs: tuple[Path, ...]
    output: Path
    frame: str | None = None  # None = the one that readers of the format expect
    from_frame: str | None = None  # that the inputs really are in; None = as each says
    sh_degree: int | None = None  # the highest; None = as many as there are
    transform: np.ndarray | None = None  # [4, 4]
    box: np.ndarray | None = None  # [4, 4], carries the cube from -1 to 1 to where it is; splats inside are kept


class ConvertReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    format: str
    frame: str
    splats: int
    splats_before: int
    sh_degree: int
    bytes: int
    notes: tuple[str, ...]  # a sentence each: what was left out, or assumed


def convert_files(request: ConvertRequest, job: RunningJob) -> ConvertReport:
    """Raises UserError for what the user can mend; then nothing is written."""
    refuse_unwritable_splat_name(request.output)
    is_bound = request.output.suffix.lower() == BOUND
    form = None if is_bound else format_by_name(request.output)
    known = None if request.from_frame is None else frame_called(request.from_frame)
    job.stage("Reading")
    contents = [read_splat_file(path, known)[0] for path in request.inputs]
    frame = frame_called(request.frame) if request.frame else (contents[0].frame if form is None else form.frame)
    content = merged([turned(content, frame) for content in contents])
    before = len(content)
    if request.transform is not None:
        content = replace(content, cloud=moved_cloud(content.cloud, request.transform))
    if request.box is not None:
        content = content.select(np.abs(Box(request.box).positions(content.cloud.means)).max(axis=1, initial=0) <= 1)
    degree = min(content.cloud.sh_degree, 4 if form is None else form.sh_degree)
    degree = degree if request.sh_degree is None else min(degree, request.sh_degree)
    if degree < content.cloud.sh_degree:
        content = content.noting(f"View-dependent colours were cut from degree {content.cloud.sh_degree} to {degree}.")
    job.stage("Writing")
    write_splat_file(request.output, content, frame=frame, sh_degree=degree)
    return ConvertReport(
        output=str(request.output),
        format="safetensors" if form is None else form.name,
        frame=frame,
        splats=len(content),
        splats_before=before,
        sh_degree=degree,
        bytes=request.output.stat().st_size,
        notes=content.notes,
    )


def merged(contents: list[SplatContent]) -> SplatContent:
    """One content of several in one frame. Columns that not all have are left out, and said."""
    first, *others = contents
    if not others:
        return first
    shared = [name for name in first.extra if all(name in other.extra for other in others)]
    lost = {name for content in contents for name in content.extra} - set(shared)
    notes = [note for content in contents for note in content.notes]
    if lost:
        notes.append(f"Left out what not all files have: {', '.join(sorted(lost))}.")
    wishes = {content.antialiased for content in contents}
    if len(wishes) > 1:
        notes.append("The files do not agree on antialiasing, so nothing is said of it.")
    return SplatContent(
        joined([content.cloud for content in contents]),
        first.frame,
        wishes.pop() if len(wishes) == 1 else None,
        {name: np.concatenate([content.extra[name] for content in contents]) for name in shared},
        tuple(dict.fromkeys(notes)),
    )
