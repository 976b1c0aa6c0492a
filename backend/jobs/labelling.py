"""Neighbours, visibility and labels of a version's splats, found as jobs: nothing of the version changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2
import msgspec
import numpy as np

from backend.captures import MaskUse, load_capture, read_photos
from backend.captures.capture import Capture, View
from backend.editing.importance import visibilities
from backend.jobs.device import DeviceKind
from backend.jobs.measuring import Reference
from backend.jobs.meshing_views import cameras_of_training
from backend.jobs.steered_job import SteeredJob
from backend.jobs.train_job import capture_folder
from backend.jobs.wire_cameras import camera_of, matrix_of_wire
from backend.jobs.work import Ending
from backend.meshing.viewpoints import small_viewpoints
from backend.selection.flash_splat import UNKNOWN, Masked, belongs, label_sums
from backend.selection.in_picture import Look
from backend.selection.neighbourhood import neighbours_of
from backend.splats.cloud import SplatCloud
from backend.splats.rendering import DEFAULT_FAR, DEFAULT_NEAR
from backend.splats.representation import Representation
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, JobCard, VersionCard, new_id
from backend.store.payload import read_arrays, write_arrays
from backend.store.selection_names import SelectionNames
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.selecting import IndexVersion, LabelSplats, MaskedView
from shared_protocol.things import LONGEST_NAME, Matrix, Part, ViewCamera

CATEGORY = "selection"
_INPUT = "input.safetensors"
_MOST_VIEWS, _PIXELS = 24, 512 * 512  # of a capture: more of either tell nothing new
_AT_ONCE = 8  # photos in memory


class _Seen(Part, frozen=True):
    camera: ViewCamera
    world_from_object: Matrix


class _Labelling(Part, frozen=True, tag=True):
    """What was asked for; the masks lie beside it."""

    version: str
    views: tuple[_Seen, ...]
    capture: Reference | None
    hidden: str


class _Indexing(Part, frozen=True, tag=True):
    version: str


class LabellingJobs:
    """The `Work` of the category "selection"."""

    def __init__(
        self,
        workspace: Workspace,
        device: DeviceKind,
        cloud_of: Callable[[VersionCard], SplatCloud],
        *,
        on_asset: Callable[[str], object],
    ) -> None:
        """cloud_of: the splats of a version, which are kept in memory. on_asset: an asset is not at work any more."""
        self._workspace, self._cloud_of, self._on_asset = workspace, cloud_of, on_asset
        self._device: DeviceKind = device
        self._assets, self._captures = AssetStore(workspace), CaptureStore(workspace)
        self._selections, self._names = SelectionStore(workspace), SelectionNames(workspace)

    def accept(self, wish: IndexVersion | LabelSplats) -> JobCard:
        """Raises UserError for what cannot work."""
        asset = self._assets.asset(wish.asset)
        version = self._assets.version(asset.id, wish.version)
        if isinstance(wish, IndexVersion):
            return self._card(asset, "Prepare", new_id(), _Indexing(version=version.id))
        self._selections.read(version, wish.hidden)
        if not wish.views and wish.capture is None:
            raise UserError("bad_input", "There are no masks.", "Draw around the object in one view at least.")
        if wish.capture is not None and not capture_folder(wish.capture, self._captures).is_dir():
            raise UserError("not_found", "The capture's folder is not there any more.", "Name a capture folder.")
        masks = {str(number): _mask(view, number) for number, view in enumerate(wish.views, 1)}
        job = new_id()
        if masks:
            folder = self._workspace.job_folder(job)
            folder.mkdir(parents=True, exist_ok=True)
            write_arrays(folder / _INPUT, masks)
        views = tuple(_Seen(camera=view.camera, world_from_object=view.world_from_object) for view in wish.views)
        kept = _Labelling(version=version.id, views=views, capture=wish.capture, hidden=wish.hidden)
        return self._card(asset, "Tell objects apart", job, kept)

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        start = time.monotonic()
        wish = msgspec.json.decode(card.request, type=_Indexing | _Labelling)
        version = self._assets.version(card.asset, wish.version)
        cloud = self._cloud_of(version)
        if isinstance(wish, _Indexing):
            job.stage("Finding each splat's neighbours")
            neighbours_of(cloud.means, on_progress=job.part_done)
            job.stage("Looking at the splats")
            self._names.keep_visibility(version, self._visibilities(version, cloud, job))
            return Ending(True, 1, 1, {"seconds": time.monotonic() - start})
        job.stage("Reading the masks")
        views = [*self._drawn_views(card, version, wish), *self._views_of_capture(version, wish.capture)]
        job.stage(f"Looking at {len(views)} views")
        sums = label_sums(cloud, views, self._device, on_progress=job.part_done)
        chosen = _belonging(sums)
        self._names.keep_label_sums(version, sums)
        figures = {"labels": float(sums.shape[1]), "splats": float(chosen), "seconds": time.monotonic() - start}
        return Ending(True, len(views), len(views), figures)

    def _visibilities(self, version: VersionCard, cloud: SplatCloud, job: SteeredJob) -> np.ndarray:
        cameras = cameras_of_training(self._workspace, version, job.note)
        looks = [(look.camera, look.near) for look in small_viewpoints(cloud, cameras, _MOST_VIEWS)]
        return visibilities(
            cloud, looks, device=self._device, antialiased=version.antialiased, on_progress=job.part_done
        )

    def show(self, card: JobCard, live: Representation) -> None:
        """Nothing is learned here."""

    def over(self, card: JobCard) -> None:
        if self._workspace.catalogue.find(AssetCard, card.asset) is not None:
            self._on_asset(card.asset)

    def discard(self, card: JobCard) -> None:
        (self._workspace.job_folder(card.id) / _INPUT).unlink(missing_ok=True)

    def _card(self, asset: AssetCard, doing: str, job: str, kept: _Indexing | _Labelling) -> JobCard:
        return JobCard(
            id=job,
            created=time.time(),
            name=f"{doing}: {asset.name}"[:LONGEST_NAME],
            method=CATEGORY,
            category=CATEGORY,
            status="queued",
            asset=asset.id,
            request=msgspec.Raw(msgspec.json.encode(kept)),
        )

    def _drawn_views(self, card: JobCard, version: VersionCard, wish: _Labelling) -> Iterator[Masked]:
        if not wish.views:
            return
        masks = read_arrays(self._workspace.job_folder(card.id) / _INPUT)
        hidden = self._selections.read(version, wish.hidden) if wish.hidden else None
        for number, view in enumerate(wish.views, 1):
            look = Look(
                camera_of(view.camera),
                matrix_of_wire(view.world_from_object),
                view.camera.near,
                view.camera.far,
                hidden,
                version.antialiased,
            )
            yield Masked(look, masks[str(number)])

    def _views_of_capture(self, version: VersionCard, reference: Reference | None) -> Iterator[Masked]:
        if reference is None:
            return
        capture = load_capture(capture_folder(reference, self._captures)).carried(version.frame_from_made)
        views, use = _masked_views(capture)
        for first in range(0, len(views), _AT_ONCE):
            for photo in read_photos(views[first : first + _AT_ONCE], max_pixels=_PIXELS, masks=use):
                shown = photo.weight if use == "ignore" else photo.alpha
                assert shown is not None
                look = Look(photo.camera, np.eye(4), DEFAULT_NEAR, DEFAULT_FAR, antialiased=version.antialiased)
                yield Masked(look, (shown > UNKNOWN // 2).astype(np.uint8))


def _mask(view: MaskedView, number: int) -> np.ndarray:
    """uint8 [H, W]. Raises UserError for a mask that has not the size of its picture."""
    width, height = view.camera.width, view.camera.height
    if view.labels is None:
        mask = np.zeros((height, width), np.uint8)
        for outline in view.outlines:
            # cv2 means pixels' centres by whole numbers.
            cv2.fillPoly(mask, [np.rint((outline - 0.5) * 16).clip(-(2**30), 2**30).astype(np.int32)], 1, shift=4)
        return mask
    if view.labels.shape != (height, width):
        shape = f"{view.labels.shape[1]} x {view.labels.shape[0]}, its picture {width} x {height} pixels"
        raise UserError("bad_input", f"The mask of view {number} is {shape}.", "Give masks the size of pictures.")
    return np.ascontiguousarray(view.labels)


def _masked_views(capture: Capture) -> tuple[list[View], MaskUse]:
    """Some of the views that have a mask, evenly drawn, and what their masks are."""
    with_files = [view for view in capture.views if view.mask_path is not None]
    views = with_files or list(capture.views)
    chosen = [views[i] for i in np.linspace(0, len(views) - 1, min(len(views), _MOST_VIEWS)).round().astype(int)]
    return chosen, "ignore" if with_files else "alpha"


def _belonging(sums: np.ndarray) -> int:
    """How many splats belong to any object. Raises UserError when none does, and says why."""
    if not sums[:, 1:].any():
        message = "No splat is seen where the masks show an object."
        hint = "Choose masks of these splats: the poses of another capture do not fit them."
        raise UserError("bad_input", message, hint)
    chosen = np.zeros(len(sums), bool)
    for label in range(1, sums.shape[1]):
        chosen |= belongs(sums, label)
    if not chosen.any():
        message = "The masks contradict each other: each splat is seen more often as no object than as one."
        raise UserError("bad_input", message, "Draw the object in full in every view that is given.")
    return int(chosen.sum())
