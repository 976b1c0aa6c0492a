"""Edits as jobs of the queue: what goes in, and the versions and assets that come out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from backend.editing.box import Box
from backend.editing.inputs import EditingInputs, EditingResult, PlacedCloud
from backend.jobs.bindings import stored_binding
from backend.jobs.device import DeviceKind
from backend.jobs.meshing_views import cameras_of_training
from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending
from backend.methods.registry import Method
from backend.rigging.binding import UNBOUND, Binding
from backend.rigging.moved import moved_binding
from backend.splats.io.frames import up_in
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.cards import JobCard, VersionCard
from backend.store.payload import read_arrays
from backend.store.select_steps import CARRIED
from backend.store.selection_names import SelectionNames
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.messages import RunMethod
from shared_protocol.things import LONGEST_NAME, Matrix

INPUT_FILE = "input.safetensors"  # in a job's folder: the arrays of its request
_PART = ", part"  # ends the name of what was separated


class EditJobs:
    """Runs methods of the category "editing" on versions of assets."""

    def __init__(
        self, workspace: Workspace, assets: AssetStore, device: DeviceKind, on_asset: Callable[[str], object]
    ) -> None:
        self._workspace, self._assets, self._device, self._on_asset = workspace, assets, device, on_asset
        self._selections, self._names = SelectionStore(workspace), SelectionNames(workspace)

    def refuse(self, wish: RunMethod) -> None:
        """Raises UserError now for what would fail later."""
        if wish.box is not None:
            box_of(wish.box)
        version = self._assets.version(wish.asset, wish.version)
        for selection in (wish.selection, wish.hidden):
            self._selections.read(version, selection)
        for other in wish.others:
            self._assets.version(self._assets.asset(other.asset).id, other.version)

    def do(
        self,
        card: JobCard,
        method: Method,
        settings: msgspec.Struct,
        version: VersionCard,
        wish: RunMethod,
        arrays: Path,
        job: SteeredJob,
    ) -> Ending:
        """arrays: the file with the mesh of the request, where it has one."""
        inputs = self._inputs(version, wish, arrays, job)
        binding = stored_binding(self._assets, version)
        job.stage(method.label)
        result: EditingResult = method.run(settings, inputs, job)
        job.stage("Storing the splats")
        apart = "" if result.apart is None else self._store_apart(card, version, inputs, result.apart, binding)
        made = self._assets.edit(
            version,
            result.cloud,
            label=method.label,
            keep=result.keep,
            copies=result.copies,
            change=result.change,
            before=inputs.cloud,
            binding=_stored(_carried(binding, inputs, result)),
            asked=msgspec.to_builtins(wish),
            moved=result.moved,
            job=card.id,
            identifier=hashlib.sha256(card.id.encode()).hexdigest()[:16],
        )
        sources = result.sources()
        hidden = _carried_mask(self._selections.read(version, wish.hidden), sources)
        selected = result.selected
        if selected is None:
            selected = _carried_mask(self._selections.read(version, wish.selection), sources)
        self._names.carry(version, made, sources)
        return Ending(
            True,
            1,
            1,
            {"splats": float(made.splats)},
            made.id,
            apart,
            selection=self._selections.keep(made, selected & ~hidden, () if hidden.any() else CARRIED),
            hidden=self._selections.keep(made, hidden),
        )

    def _inputs(self, version: VersionCard, wish: RunMethod, arrays: Path, job: SteeredJob) -> EditingInputs:
        asset = self._assets.asset(version.asset)
        return EditingInputs(
            self._assets.read(version),
            selected=self._selections.read(version, wish.selection) if wish.selection else None,
            hidden=self._selections.read(version, wish.hidden) if wish.hidden else None,
            box=None if wish.box is None else box_of(wish.box),
            mesh=mesh_of_job(arrays) if arrays.is_file() else None,
            matrix=None if wish.matrix is None else matrix_of(wish.matrix),
            points=np.array(wish.points, np.float64).reshape(-1, 3),
            others=tuple(
                PlacedCloud(
                    self._assets.read(self._assets.version(other.asset, other.version)),
                    matrix_of(other.asset_from_other),
                )
                for other in wish.others
            ),
            cameras=lambda: cameras_of_training(self._workspace, version, job.note),
            up=asset.up if any(asset.up) else up_in(asset.frame),
            device=self._device,
            antialiased=version.antialiased,
        )

    def _store_apart(
        self, card: JobCard, version: VersionCard, inputs: EditingInputs, apart: np.ndarray, binding: Binding | None
    ) -> str:
        """The splats of a mask as an asset of their own, which stands in the same frame; its id."""
        source = self._assets.asset(version.asset)
        name = source.name[: LONGEST_NAME - len(_PART)] + _PART
        own = hashlib.sha256(f"{card.id} apart".encode()).hexdigest()[:16]
        asset = self._assets.create(name, job=source.job, frame=source.frame, up=source.up, identifier=own)
        self._assets.add(
            asset.id,
            inputs.cloud.select(apart),
            label=f"separated from {source.name}",
            antialiased=version.antialiased,
            moved=version.moved,
            binding=_stored(None if binding is None else binding.select(apart)),
            extra={key: column[apart] for key, column in self._assets.extra(version).items()},
            identifier=hashlib.sha256(own.encode()).hexdigest()[:16],
        )
        self._on_asset(asset.id)
        return asset.id


def box_of(matrix: Matrix) -> Box:
    """Raises UserError for a box without a volume."""
    return Box(matrix_of(matrix))


def mesh_of_job(path: Path) -> TriangleMesh:
    """Raises UserError when the file is damaged."""
    arrays = read_arrays(path)
    return TriangleMesh(arrays["vertices"], arrays["faces"])


def matrix_of(matrix: Matrix) -> np.ndarray:
    """[4, 4] float64."""
    return np.array(matrix, np.float64).reshape(4, 4)


def _stored(binding: Binding | None) -> dict[str, np.ndarray] | None:
    return None if binding is None else binding.to_arrays()


def _carried(binding: Binding | None, inputs: EditingInputs, result: EditingResult) -> Binding | None:
    """What the splats hang on after the edit: where they were moved, at other heights above the same faces.

    What came from elsewhere hangs on nothing yet.
    """
    if binding is None:
        return None
    if result.moved is not None:
        return moved_binding(binding, result.moved, result.cloud.means)
    sources = result.sources()
    carried = binding.select(sources)
    known, means = sources >= 0, result.cloud.means
    carried.faces[~known], carried.rigid[~known] = UNBOUND, False
    if np.array_equal(means[known], inputs.cloud.means[sources[known]]):
        return carried
    return carried.resting(carried.mesh.vertices, means)


def _carried_mask(mask: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """bool [M]: what was marked of the old splats, bool [N], where each new one comes from; -1 = from elsewhere."""
    return (sources >= 0) & mask[sources]
