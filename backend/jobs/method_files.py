"""Methods that are no trainings, from files to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from backend.captures import load_capture
from backend.jobs.device import DeviceChoice, choose_device
from backend.jobs.meshing_views import Photographs, meshed_part
from backend.jobs.report import Stopwatch
from backend.jobs.running import RunningJob
from backend.jobs.settings import method_and_settings
from backend.jobs.splat_files import read_splat_file, read_to_draw, refuse_unwritable_splat_name, write_splat_file
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.rigging import animation
from backend.rigging.baking import bake_pose
from backend.rigging.binding import Binding, refuse_broken
from backend.rigging.bound import BoundRepresentation
from backend.rigging.inputs import RiggingInputs
from backend.rigging.vertex_weights import read_weights
from backend.splats.io import SplatContent
from backend.splats.io.atomic import write_bytes
from backend.splats.io.mesh_files import read_mesh, refuse_unwritable_mesh_name, write_mesh
from backend.splats.representation import CloudRepresentation
from shared_protocol.errors import UserError

Settings = Mapping[str, object]  # text as typed, or values


@dataclass(frozen=True)
class MeshRequest:
    splats: Path
    output: Path
    report: Path | None = None
    method: str = "tsdf"
    capture: Path | None = None  # look from where these photos were taken; None = from all around
    settings: Settings = field(default_factory=dict)
    device: DeviceChoice = "auto"


class MeshReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    vertices: int
    faces: int
    components: int  # pieces that hang together
    watertight: bool
    seconds: float
    views: int  # the splats were looked at from
    voxel: float  # size of the smallest details, in the splats' units
    texture: int  # pixels along a side; 0 = the vertices alone have colours
    texture_covered: float | None  # the part of it that some picture saw
    color_from: str | None  # of the texture: "photos" or "splats"
    device: str
    method: str
    settings: dict[str, object]


@dataclass(frozen=True)
class BindRequest:
    splats: Path  # or, with what it is bound to, a file that this wrote before
    mesh: Path
    output: Path  # .safetensors keeps the binding; .ply holds the splats alone
    method: str = "bind"
    pose: Path | None = None  # the same mesh, moved: the splats follow it; .npz = moving, a file is written a frame
    settings: Settings = field(default_factory=dict)
    strength: str | None = None  # of each vertex, as `read_weights` takes it; None = 1
    far_group: str | None = None  # which vertices far splats follow, as much as these weights say


class BindReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    splats: int
    bound: int  # the others stay where they are
    vertices: int
    frames: int  # that were written; 1 where the mesh does not move


def mesh_file(request: MeshRequest, job: RunningJob) -> MeshReport:
    """Raises UserError for what the user can mend; then nothing is written."""
    watch = Stopwatch()
    method, settings = method_and_settings("meshing", request.method, request.settings)
    refuse_unwritable_mesh_name(request.output)
    settings = _without_texture(request, settings)
    device = choose_device(request.device)
    content, _ = read_to_draw(request.splats)
    cloud = content.cloud
    seen = Photographs() if request.capture is None else Photographs.of(load_capture(request.capture))
    job.stage(method.label)
    representation, bounds = (
        CloudRepresentation(cloud, device, antialiased=bool(content.antialiased)),
        meshed_part(cloud, seen.cameras),
    )
    inputs = MeshingInputs(representation, bounds, seen.cameras, device, seen.photo)
    result: MeshingResult = method.run(settings, inputs, job)
    mesh, texture = result.mesh, result.texture
    write_mesh(request.output, mesh, texture)
    report = MeshReport(
        output=str(request.output),
        vertices=len(mesh.vertices),
        faces=len(mesh.faces),
        components=int(mesh.pieces().max()) + 1,
        watertight=mesh.is_watertight,
        seconds=watch.seconds(),
        views=result.views,
        voxel=result.voxel,
        texture=0 if texture is None else len(texture.image),
        texture_covered=result.covered,
        color_from=result.color_from,
        device=device,
        method=method.id,
        settings=msgspec.to_builtins(settings),
    )
    if request.report is not None:
        write_bytes(request.report, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return report


def _without_texture(request: MeshRequest, settings: msgspec.Struct) -> msgspec.Struct:
    """PLY files have no room for a picture, so none is made that nobody asked for."""
    if request.output.suffix.lower() != ".ply" or getattr(settings, "texture", None) is None:
        return settings
    if "texture" in request.settings:
        hint = "Write a .glb or .obj file, or set 'texture' to none: then the vertices have colours."
        raise UserError("bad_input", "PLY files hold no texture.", hint)
    return msgspec.structs.replace(settings, texture=None)


def bind_file(request: BindRequest, job: RunningJob) -> BindReport:
    """Raises UserError for what the user can mend; then nothing is written."""
    method, settings = method_and_settings("rigging", request.method, request.settings)
    refuse_unwritable_splat_name(request.output)
    content, known = read_splat_file(request.splats)
    mesh = read_mesh(request.mesh)
    moves = request.pose is not None and request.pose.suffix.lower() == animation.SUFFIX
    frames = animation.read_animation(request.pose) if request.pose is not None and moves else None
    posed = None if request.pose is None or moves else read_mesh(request.pose)
    if frames is not None:
        animation.file_of_frame(request.output, 1)  # or it is refused before the work
    weights, far_weights = (
        None if source is None else read_weights(source, request.mesh, len(mesh.vertices))
        for source in (request.strength, request.far_group)
    )
    job.stage(method.label)
    result = method.run(settings, RiggingInputs(content.cloud, mesh, known, weights, far_weights), job)
    made, binding = result.cloud, result.binding
    if posed is not None:
        made, binding = bake_pose(made, binding, posed.vertices)
    if frames is None:
        write_splat_file(request.output, replace(content, cloud=made), binding)
    else:
        _write_frames(request.output, replace(content, cloud=made), binding, frames, job)
    return BindReport(
        output=str(request.output),
        splats=len(made),
        bound=int((binding.faces >= 0).sum()),
        vertices=len(binding.mesh.vertices),
        frames=1 if frames is None else len(frames),
    )


def _write_frames(output: Path, content: SplatContent, binding: Binding, frames: np.ndarray, job: RunningJob) -> None:
    """The same splats in the same order in each file: none is split. frames: [P, V, 3], numbered from 1."""
    job.stage("Writing the frames")
    for vertices in frames:
        refuse_broken(binding.fitting(vertices))
    bound = BoundRepresentation(content.cloud, binding, "cpu")
    for number, vertices in enumerate(frames, 1):
        moved = bound.posed(vertices).bake()
        resting = binding.resting(vertices, moved.means)
        write_splat_file(animation.file_of_frame(output, number), replace(content, cloud=moved), resting)
        job.progress(number, len(frames))
