"""Methods that are no trainings, as jobs of the queue: from the wire's request to a version or a mesh."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable

import msgspec
import numpy as np

from backend.jobs.bindings import stored_binding
from backend.jobs.device import DeviceKind
from backend.jobs.edit_jobs import INPUT_FILE, EditJobs
from backend.jobs.meshing_views import meshed_part, photographs_of_training
from backend.jobs.settings import chosen_settings
from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.methods import registry
from backend.methods.registry import Method
from backend.rigging.inputs import RiggingInputs
from backend.splats.representation import CloudRepresentation, Representation
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.cards import AssetCard, JobCard, VersionCard, new_id
from backend.store.payload import read_arrays, write_arrays
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import MeshData, RunMethod
from shared_protocol.things import LONGEST_NAME

_ARRAYS = ("vertices", "faces", "weights", "far_weights")  # of a request
_MESH = "mesh.safetensors"


class MethodJobs:
    """The `Work` of every category but training."""

    def __init__(self, workspace: Workspace, device: DeviceKind, *, on_asset: Callable[[str], object]) -> None:
        """on_asset: an asset, by id, got a version or is written now."""
        self._workspace, self._assets = workspace, AssetStore(workspace)
        self._device: DeviceKind = device
        self._on_asset = on_asset
        self._edits = EditJobs(workspace, self._assets, self._device, on_asset)

    def accept(self, wish: RunMethod) -> JobCard:
        """Raises UserError for what cannot work."""
        method = registry.find(wish.method)
        if method.category == "training":
            raise UserError("bad_input", f"The method '{method.id}' trains.", "Start a training with it instead.")
        chosen_settings(method, wish.settings)
        asset = self._assets.asset(wish.asset)
        version = self._assets.version(asset.id, wish.version)
        self._edits.refuse(wish)
        if method.category == "rigging" and wish.vertices is None:
            raise UserError("bad_input", f"The method '{method.id}' needs a mesh.", "Choose a mesh object.")
        job = new_id()
        if wish.vertices is not None and wish.faces is not None:
            folder = self._workspace.job_folder(job)
            folder.mkdir(parents=True, exist_ok=True)
            arrays = {name: getattr(wish, name) for name in _ARRAYS}
            write_arrays(folder / INPUT_FILE, {name: array for name, array in arrays.items() if array is not None})
        # The version is fixed now: what is asked of the head does not move to a newer one while the job waits.
        kept = msgspec.structs.replace(wish, version=version.id, **dict.fromkeys(_ARRAYS))
        return JobCard(
            id=job,
            created=time.time(),
            name=wish.name or f"{method.label}: {asset.name}"[:LONGEST_NAME],
            method=method.id,
            category=method.category,
            status="queued",
            asset=asset.id,
            request=msgspec.Raw(msgspec.json.encode(kept)),
        )

    def mesh(self, job: str) -> MeshData:
        """What a finished meshing job made. Raises UserError when there is none."""
        card = self._workspace.find(JobCard, job, "job")
        path = self._workspace.job_folder(job) / _MESH
        if card.category != "meshing" or not path.is_file():
            raise UserError("not_found", f"The job '{card.name}' made no mesh.", "Run it to its end.")
        return MeshData(**read_arrays(path))

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        wish = msgspec.json.decode(card.request, type=RunMethod)
        method = registry.find(wish.method)
        settings = chosen_settings(method, wish.settings)
        job.stage("Reading the splats")
        version = self._assets.version(card.asset, wish.version)
        match method.category:
            case "editing":
                arrays = self._workspace.job_folder(card.id) / INPUT_FILE
                return self._edits.do(card, method, settings, version, wish, arrays, job)
            case "rigging":
                return self._rig(card, method, settings, version, job)
            case "meshing":
                return self._extract(card, method, settings, version, job)
        raise UserError("unsupported", f"Methods of the kind '{method.category}' cannot be run here.")

    def show(self, card: JobCard, live: Representation) -> None:
        """Nothing of these jobs is drawn before it is a version."""

    def over(self, card: JobCard) -> None:
        if self._workspace.catalogue.find(AssetCard, card.asset) is not None:
            self._on_asset(card.asset)

    def discard(self, card: JobCard) -> None:
        for leftover in sorted(self._workspace.job_folder(card.id).glob("*")):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            elif leftover.name != "job.json":
                leftover.unlink()
        for version in self._assets.versions(card.asset):
            if version.job == card.id:
                self._assets.remove(version)

    def _rig(
        self, card: JobCard, method: Method, settings: msgspec.Struct, version: VersionCard, job: SteeredJob
    ) -> Ending:
        arrays = read_arrays(self._workspace.job_folder(card.id) / INPUT_FILE)
        mesh = TriangleMesh(arrays["vertices"], arrays["faces"])
        inputs = RiggingInputs(
            self._assets.read(version),
            mesh,
            stored_binding(self._assets, version),
            arrays.get("weights"),
            arrays.get("far_weights"),
        )
        job.stage(method.label)
        result = method.run(settings, inputs, job)
        job.stage("Storing the splats")
        made = self._assets.edit(
            version,
            result.cloud,
            label=method.label,
            binding=result.binding.to_arrays(),
            job=card.id,
            identifier=_version_of(card),
        )
        bound = float((result.binding.faces >= 0).sum())
        return Ending(True, 1, 1, {"splats": float(made.splats), "bound": bound}, made.id)

    def _extract(
        self, card: JobCard, method: Method, settings: msgspec.Struct, version: VersionCard, job: SteeredJob
    ) -> Ending:
        start = time.monotonic()
        cloud = self._assets.read(version)
        seen = photographs_of_training(self._workspace, version, job.note)
        representation = CloudRepresentation(cloud, self._device, antialiased=version.antialiased)
        bounds = meshed_part(cloud, seen.cameras)
        inputs = MeshingInputs(representation, bounds, seen.cameras, self._device, seen.photo)
        job.stage(method.label)
        result: MeshingResult = method.run(settings, inputs, job)
        mesh, texture = result.mesh, result.texture
        job.stage("Storing the mesh")
        assert mesh.colors is not None
        folder = self._workspace.job_folder(card.id)
        arrays = {"vertices": mesh.vertices, "faces": mesh.faces, "colors": mesh.colors}
        if texture is not None:
            arrays |= {"uvs": texture.uvs, "texture": np.frombuffer(texture.png(), np.uint8)}
        write_arrays(folder / _MESH, arrays)
        figures = {"vertices": float(len(mesh.vertices)), "faces": float(len(mesh.faces))}
        figures["watertight"] = float(mesh.is_watertight)
        return Ending(True, 1, 1, figures | {"seconds": time.monotonic() - start})


def _version_of(card: JobCard) -> str:
    """Follows from the job: what is done once more after a crash is the same version."""
    return hashlib.sha256(card.id.encode()).hexdigest()[:16]
