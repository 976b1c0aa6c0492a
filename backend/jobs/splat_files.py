"""Splat files as they come in and go out: of the formats that everyone reads, or with what the splats are bound to."""

from __future__ import annotations

from pathlib import Path

from backend.jobs.bindings import checked_binding
from backend.rigging.binding import Binding
from backend.splats.cloud import SplatCloud
from backend.splats.io import BOUND, read_cloud, refuse_unwritable_name, write_cloud
from backend.store.payload import arrays_to_cloud, binding_of, cloud_to_arrays, read_arrays, with_binding, write_arrays
from shared_protocol.errors import UserError


def read_splat_file(path: Path) -> tuple[SplatCloud, Binding | None]:
    """The splats, and what they hang on; None = nothing. Raises UserError when the file is missing or damaged."""
    path = Path(path)
    if path.suffix.lower() != BOUND:
        return read_cloud(path), None
    if not path.is_file():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    arrays = read_arrays(path)
    cloud, held = arrays_to_cloud(arrays, path), binding_of(arrays)
    binding = checked_binding(held, str(path)) if held else None
    if binding is not None and len(binding) != len(cloud):
        message = f"'{path}' holds {len(cloud):,} splats, and the binding of {len(binding):,}."
        raise UserError("bad_input", message, "Bind the splats again.")
    is_whole = cloud.finite()
    if not is_whole.all():  # as the other formats are read
        cloud, binding = cloud.select(is_whole), None if binding is None else binding.select(is_whole)
    return cloud, binding


def write_splat_file(path: Path, cloud: SplatCloud, binding: Binding | None = None) -> None:
    """Writes the file whole or not at all; what the splats are bound to only where the format has room for it."""
    if Path(path).suffix.lower() == BOUND:
        arrays = cloud_to_arrays(cloud)
        write_arrays(Path(path), arrays if binding is None else with_binding(arrays, binding.to_arrays()))
    else:
        write_cloud(Path(path), cloud)


def refuse_unwritable_splat_name(path: Path) -> None:
    """Raises UserError when the file's name ends with no format that can be written."""
    if Path(path).suffix.lower() != BOUND:
        refuse_unwritable_name(path)
