"""Splat files into another one: format, frame, degree; several become one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from backend.editing.box import Box
from backend.jobs.running import RunningJob
from backend.jobs.splat_files import (
    keeps_binding,
    read_splat_file,
    refuse_unwritable_splat_name,
    turned_with_binding,
    write_splat_file,
)
from backend.rigging.moved import moved_binding
from backend.splats.io import format_by_name
from backend.splats.io.content import SplatContent
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
    is_bound = keeps_binding(request.output)
    form = None if is_bound else format_by_name(request.output)
    known = None if request.from_frame is None else frame_called(request.from_frame)
    job.stage("Reading")
    read = [read_splat_file(path, known) for path in request.inputs]
    frame = frame_called(request.frame) if request.frame else (read[0][0].frame if form is None else form.frame)
    turned = [turned_with_binding(content, binding, frame) for content, binding in read]
    content = merged([content for content, _ in turned])
    binding = turned[0][1] if len(turned) == 1 else None  # several hang on several meshes
    before = len(content)
    if request.transform is not None:
        content = replace(content, cloud=moved_cloud(content.cloud, request.transform))
        binding = None if binding is None else moved_binding(binding, request.transform, content.cloud.means)
    if request.box is not None:
        keep = np.abs(Box(request.box).positions(content.cloud.means)).max(axis=1, initial=0) <= 1
        content, binding = content.select(keep), None if binding is None else binding.select(keep)
    degree = min(content.cloud.sh_degree, 4 if form is None else form.sh_degree)
    degree = degree if request.sh_degree is None else min(degree, request.sh_degree)
    if degree < content.cloud.sh_degree:
        content = content.noting(f"View-dependent colours were cut from degree {content.cloud.sh_degree} to {degree}.")
    job.stage("Writing")
    write_splat_file(request.output, content, binding, frame=frame, sh_degree=degree)
    return ConvertReport(
        output=str(request.output),
        format=request.output.suffix.lower()[1:] if form is None else form.name,
        frame=frame,
        splats=len(content),
        splats_before=before,
        sh_degree=degree,
        bytes=_size(request.output),
        notes=content.notes,
    )


def _size(path: Path) -> int:
    """Bytes of the file, or of all files in the folder."""
    files = path.iterdir() if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


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
