"""Splat files as they come in and go out: of the formats that everyone reads, or with what the splats are bound to."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.jobs.bindings import checked_binding
from backend.jobs.bound_folder import is_bound_folder, read_bound_folder, write_bound_folder
from backend.rigging.binding import Binding
from backend.rigging.moved import moved_binding
from backend.splats.io import BOUND, BOUND_FOLDER, format_by_name, read_splats, refuse_unwritable_name, write_splats
from backend.splats.io.content import SplatContent, cleaned, turned, with_sh_degree
from backend.splats.io.frames import Frame, frame_called, rotation_between
from backend.splats.io.mesh_files import refuse_unwritable_mesh_name, write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.payload import (
    arrays_to_cloud,
    binding_of,
    cloud_to_arrays,
    extra_of,
    read_arrays,
    read_facts,
    with_binding,
    with_extra,
    write_arrays,
)
from backend.training.given_splats import GivenSplats
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)


def read_splat_file(path: Path, frame: Frame | None = None) -> tuple[SplatContent, Binding | None]:
    """The splats, and what they hang on; None = nothing. frame: as in `read_splats`.

    Raises UserError when the file is missing or damaged.
    """
    path = Path(path)
    if is_bound_folder(path):
        content, binding = read_bound_folder(path)
        return (content if frame is None else replace(content, frame=frame)), binding
    if path.suffix.lower() != BOUND:
        return read_splats(path, frame), None
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    arrays, facts = read_arrays(path), read_facts(path)
    cloud, held, extra = arrays_to_cloud(arrays, path), binding_of(arrays), extra_of(arrays)
    if any(column.shape != (len(cloud),) for column in extra.values()):
        raise UserError("bad_input", f"'{path}' is damaged: it has numbers that belong to no splat.")
    binding = checked_binding(held, str(path)) if held else None
    if binding is not None and len(binding) != len(cloud):
        message = f"'{path}' holds {len(cloud):,} splats, and the binding of {len(binding):,}."
        raise UserError("bad_input", message, "Bind the splats again.")
    is_whole = cloud.finite()
    if binding is not None and not is_whole.all():
        binding = binding.select(is_whole)
    said = frame_called(facts.get("frame", "opencv"))
    content = SplatContent(cloud, frame or said, facts.get("antialiased") == "yes", extra).select(is_whole)
    return cleaned(content), binding


def read_to_draw(path: Path, antialiased: bool | None = None) -> tuple[SplatContent, Binding | None]:
    """The same, with the notes in the log, and `antialiased` of the content said: as here or, for None, by the file."""
    content, binding = read_splat_file(path)
    for note in content.notes:
        log.warning("'%s': %s", path, note)
    return replace(content, antialiased=bool(content.antialiased if antialiased is None else antialiased)), binding


def write_splat_file(
    path: Path,
    content: SplatContent,
    binding: Binding | None = None,
    *,
    frame: Frame | None = None,
    sh_degree: int | None = None,
) -> None:
    """Writes the file whole or not at all; what the splats are bound to only where the format has room for it.

    frame: that the numbers are written in; None = as the format prescribes, the splats' own where it prescribes none.
    sh_degree: as in `write_splats`.
    """
    path = Path(path)
    if not keeps_binding(path):
        prescribes = format_by_name(path).prescribes_frame
        write_splats(path, content, frame or (None if prescribes else content.frame), sh_degree)
        return
    if frame is not None and frame != content.frame:
        content, binding = turned_with_binding(content, binding, frame)
    content = with_sh_degree(content, min(content.cloud.sh_degree, 4 if sh_degree is None else sh_degree))
    if is_bound_folder(path):
        write_bound_folder(path, content, binding)
        return
    arrays = with_extra(cloud_to_arrays(content.cloud), content.extra)
    facts = {"frame": content.frame, "antialiased": "yes" if content.antialiased else "no"}
    write_arrays(path, arrays if binding is None else with_binding(arrays, binding.to_arrays()), facts)


def write_bound_mesh(path: Path, output: Path) -> TriangleMesh:
    """Writes the mesh at rest that the splats of a file hang on, as a training has learned it where it has.

    Raises UserError when they hang on none, and for what cannot be read or written.
    """
    refuse_unwritable_mesh_name(output)
    _, binding = read_splat_file(path)
    if binding is None:
        hint = "Name a .safetensors file or a .bound folder that bind or train has written, or leave out --bound."
        raise UserError("bad_input", f"The splats in '{path}' are not bound to a mesh.", hint)
    write_mesh(output, binding.learned_mesh)
    return binding.learned_mesh


def turned_with_binding(
    content: SplatContent, binding: Binding | None, frame: Frame
) -> tuple[SplatContent, Binding | None]:
    """Both in another frame; into a mirrored one the binding does not go."""
    turn = np.eye(4)
    turn[:3, :3] = rotation_between(content.frame, frame)
    content = turned(content, frame)
    return content, None if binding is None else moved_binding(binding, turn, content.cloud.means)


def refuse_unwritable_splat_name(path: Path) -> None:
    """Raises UserError when the file's name ends with no format that can be written."""
    if not keeps_binding(path):
        refuse_unwritable_name(path)


def keeps_binding(path: Path) -> bool:
    """Whether what is written under this name holds what the splats are bound to, too."""
    return Path(path).suffix.lower() in (BOUND, BOUND_FOLDER)


def read_given_splats(path: Path, edited_from: Path | None) -> GivenSplats:
    """What a training goes on from, with its numbers in the capture's frame.

    edited_from: the splats as they were trained, when they were edited since. Raises UserError as `read_splat_file`.
    """
    cloud = read_splat_file(path)[0].cloud
    edits = () if edited_from is None else ((read_splat_file(edited_from)[0].cloud, cloud),)
    return GivenSplats(cloud, edits=edits)
