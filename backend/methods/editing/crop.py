"""Keeps the splats inside a box, a sphere or a mesh, or those outside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.cloud import SplatCloud
from backend.splats.enclosed import distances_to, enclosed_by
from shared_protocol.schema import setting

_CHUNK = 200_000  # splats between two reports


class CropSettings(msgspec.Struct, frozen=True, kw_only=True):
    shape: Annotated[
        Literal["box", "sphere", "mesh"],
        setting("Shape", "The box itself, the ball or ellipsoid that just fits into it, or what a mesh encloses."),
    ] = "box"
    keep: Annotated[Literal["inside", "outside"], setting("Keep", "Which splats stay; the others are deleted.")] = (
        "inside"
    )
    margin: Annotated[
        float,
        setting(
            "Margin",
            "A splat counts as inside only as a whole, this many of its standard deviations around its centre; "
            "at 0 its centre decides.",
            minimum=0,
            maximum=5,
        ),
    ] = 0.0


@method(label="Crop", help="Keeps what lies inside a box, a sphere or a mesh, or deletes it.")
def run(config: CropSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    cloud, inside_of = inputs.cloud, _INSIDE[config.shape]
    inside = np.zeros(len(cloud), bool)
    for start in range(0, len(cloud), _CHUNK):
        part = slice(start, start + _CHUNK)
        inside[part] = inside_of(inputs, cloud.select(np.arange(len(cloud))[part]), config.margin)
        job.progress(min(start + _CHUNK, len(cloud)), len(cloud))
    keep = inside if config.keep == "inside" else ~inside
    result = EditingResult.kept(inputs, keep | inputs.spared(), hint="Move the shape, or keep the other side of it.")
    job.note(f"{len(result.cloud):,} of {len(cloud):,} splats stay.")
    return result


def _inside_box(inputs: EditingInputs, splats: SplatCloud, margin: float) -> np.ndarray:
    box = inputs.wanted_box()
    return (np.abs(box.positions(splats.means)) + box.reach(splats, margin)).max(axis=1) <= 1


def _inside_sphere(inputs: EditingInputs, splats: SplatCloud, margin: float) -> np.ndarray:
    box = inputs.wanted_box()
    return np.linalg.norm(box.positions(splats.means), axis=1) + box.longest_reach(splats, margin) <= 1


def _inside_mesh(inputs: EditingInputs, splats: SplatCloud, margin: float) -> np.ndarray:
    mesh = inputs.wanted_mesh()
    inside = enclosed_by(mesh, splats.means)
    if margin > 0:
        longest = margin * np.exp(splats.log_scales[inside].max(axis=1).astype(np.float64))
        inside[inside] = distances_to(mesh, splats.means[inside]) >= longest
    return inside


_INSIDE: dict[str, Callable[[EditingInputs, SplatCloud, float], np.ndarray]] = {
    "box": _inside_box,
    "sphere": _inside_sphere,
    "mesh": _inside_mesh,
}
