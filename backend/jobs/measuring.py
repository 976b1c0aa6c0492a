"""Compares versions with the photos of a capture, as jobs of the queue, and hands those photos out."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np

from backend.captures import Capture, MaskUse, choose_mask_use, load_capture, pixels_for_longer_side, read_photos
from backend.captures.capture import Photo
from backend.jobs.bindings import stored_binding
from backend.jobs.device import DeviceKind
from backend.jobs.evaluation import WHITE, compared, mean_figures, target
from backend.jobs.posed_renderers import renderers_in_poses
from backend.jobs.report import ViewFigures
from backend.jobs.steered_job import SteeredJob
from backend.jobs.train_job import capture_folder
from backend.jobs.work import Ending
from backend.splats.rendering import CloudRenderer
from backend.splats.representation import Representation
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, JobCard, VersionCard, new_id
from backend.store.figures import FiguresStore, Terms, VersionFigures
from backend.store.workspace import Workspace
from backend.training.frame import SceneFrame
from backend.training.plan import plan_training
from backend.training.settings import TrainingSettings
from shared_protocol.errors import UserError
from shared_protocol.messages import VIEWS_A_PAGE, FetchPhoto, FiguresOfViews, MeasureViews, PhotoData, Train
from shared_protocol.things import LONGEST_NAME, FolderCapture, MeasuredView, UploadedCapture, ViewCamera

METHOD = CATEGORY = "evaluation"
_AT_ONCE = 16  # photos in memory

Reference = FolderCapture | UploadedCapture


class MeasureJobs:
    """The `Work` of the category "evaluation"."""

    def __init__(self, workspace: Workspace, device: DeviceKind, *, on_asset: Callable[[str], object]) -> None:
        """on_asset: an asset, by id, is not at work any more."""
        self._workspace = workspace
        self._device: DeviceKind = device
        self._assets, self._captures = AssetStore(workspace), CaptureStore(workspace)
        self._figures = FiguresStore(workspace)
        self._on_asset = on_asset

    def accept(self, wish: MeasureViews) -> JobCard:
        """Raises UserError for what cannot work."""
        asset = self._assets.asset(wish.asset)
        version = self._assets.version(asset.id, wish.version)
        capture = wish.capture or self._known_capture(version)
        if not capture_folder(capture, self._captures).is_dir():
            raise UserError("not_found", "The capture's folder is not there any more.", "Name a capture folder.")
        # The version is fixed now: a newer one that comes while the job waits is another one's.
        kept = msgspec.structs.replace(wish, version=version.id, capture=capture)
        return JobCard(
            id=new_id(),
            created=time.time(),
            name=wish.name or f"Measure {asset.name}"[:LONGEST_NAME],
            method=METHOD,
            category=CATEGORY,
            status="queued",
            asset=asset.id,
            request=msgspec.Raw(msgspec.json.encode(kept)),
        )

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        start = time.monotonic()
        wish = msgspec.json.decode(card.request, type=MeasureViews)
        version = self._assets.version(card.asset, wish.version)
        assert wish.capture is not None
        job.stage("Reading the capture")
        capture = load_capture(capture_folder(wish.capture, self._captures)).carried(version.frame_from_made)
        terms = self._terms(version, wish.capture, capture, job.note)
        job.stage(f"Measuring {len(capture.views)} views")
        cloud, antialiased = self._assets.read(version), version.antialiased
        renderer = CloudRenderer(cloud, self._device, antialiased=antialiased)
        binding = stored_binding(self._assets, version)
        posed = renderers_in_poses(
            cloud, binding, capture.folder, self._device, version.frame_from_made, antialiased=antialiased
        )
        near, held_out = near_of(capture, terms), {view.name for view in capture.test_views}
        found: list[ViewFigures] = []
        for first in range(0, len(capture.views), _AT_ONCE):
            views = capture.views[first : first + _AT_ONCE]
            for photo in read_photos(views, max_pixels=terms.max_pixels, masks=_mask_use(terms)):
                shown = renderer if posed is None else posed.of(photo)
                found.append(compared(shown, photo, near=near, background=terms.background))
                job.part_done(len(found), len(capture.views))
        measured = tuple(
            MeasuredView(name=view.name, psnr=view.psnr, ssim=view.ssim, held_out=view.name in held_out)
            for view in found
        )
        self._figures.keep(version, VersionFigures(capture=wish.capture, terms=terms, views=measured))
        psnr, ssim = mean_figures([view for view in found if view.name in held_out] or found)
        figures = {} if psnr is None or ssim is None else {"psnr": psnr, "ssim": ssim}
        return Ending(True, len(found), len(found), figures | {"seconds": time.monotonic() - start})

    def show(self, card: JobCard, live: Representation) -> None:
        """Nothing is learned here."""

    def over(self, card: JobCard) -> None:
        if self._workspace.catalogue.find(AssetCard, card.asset) is not None:
            self._on_asset(card.asset)

    def discard(self, card: JobCard) -> None:
        """Figures come into their place at the end only."""

    # ---- what was measured

    def figures(self, asset: str, version: str, first: int) -> FiguresOfViews:
        """At most VIEWS_A_PAGE of them, from the `first` on."""
        found = self._figures.find(self._assets.version(asset, version))
        views = () if found is None else found.views
        return FiguresOfViews(views=views[first : first + VIEWS_A_PAGE], total=len(views))

    def photo(self, wish: FetchPhoto) -> PhotoData:
        """Raises UserError when the version was never measured, or the photo is not there any more."""
        version = self._assets.version(wish.asset, wish.version)
        found = self._figures.find(version)
        if found is None:
            raise UserError("not_found", "This version was not compared with photos yet.", "Measure its views first.")
        capture = load_capture(capture_folder(found.capture, self._captures)).carried(version.frame_from_made)
        view = next((view for view in capture.views if view.name == wish.view), None)
        if view is None:
            message = f"The capture '{capture.folder.name}' has no photo '{wish.view}' any more."
            raise UserError("not_found", message, "Measure the views again.")
        pixels = pixels_for_longer_side(capture, wish.longer_side)
        (photo,) = read_photos([view], max_pixels=pixels, masks=_mask_use(found.terms))
        return _data(photo, found.terms, near_of(capture, found.terms))

    def _known_capture(self, version: VersionCard) -> Reference:
        last = self._last_figures(version)
        if last is not None:
            return last.capture
        training = self._training(version)
        if training is None:
            message = "Nobody knows from which photos these splats were made."
            raise UserError("bad_input", message, "Name the folder of their capture.")
        return training.capture

    def _training(self, version: VersionCard) -> Train | None:
        """What was asked of the training that made the version's asset."""
        asset = self._workspace.catalogue.find(AssetCard, version.asset)
        job = self._workspace.catalogue.find(JobCard, asset.job) if asset is not None and asset.job else None
        return None if job is None else msgspec.json.decode(job.request, type=Train)

    def _terms(
        self, version: VersionCard, reference: Reference, capture: Capture, note: Callable[[str], object]
    ) -> Terms:
        """Those of the last figures, so that figures can be compared; else as in the default training."""
        last = self._last_figures(version)
        if last is not None and last.capture == reference:
            return last.terms
        training = self._training(version)
        masks, reason = choose_mask_use(capture, "auto" if training is None else training.masks)
        note(reason)
        plan = plan_training(capture.train_views, device=self._device)
        near_plane = TrainingSettings().near_plane
        return Terms(max_pixels=plan.max_pixels, masks=masks, background=(0.0, 0.0, 0.0), near_plane=near_plane)

    def _last_figures(self, version: VersionCard) -> VersionFigures | None:
        """Of the version, else of the nearest one that it was made from."""
        known: VersionCard | None = version
        for _ in self._assets.versions(version.asset):
            found = None if known is None else self._figures.find(known)
            if known is None or found is not None:
                return found
            known = self._workspace.catalogue.find(VersionCard, known.parent) if known.parent else None
        return None


def near_of(capture: Capture, terms: Terms) -> float:
    """The near plane, in the capture's units."""
    points = None if capture.points is None else capture.points.positions
    return terms.near_plane * SceneFrame.around([view.camera for view in capture.train_views], points).extent


def _mask_use(terms: Terms) -> MaskUse:
    return msgspec.convert(terms.masks, type=MaskUse)


def _data(photo: Photo, terms: Terms, near: float) -> PhotoData:
    background = terms.background if photo.alpha is None else WHITE
    color = np.full((*photo.rgb.shape[:2], 4), 255, np.uint8)
    color[..., :3] = np.rint(target(photo, background).numpy() * 255)
    if photo.weight is not None:
        color[..., 3] = photo.weight
    camera = photo.camera
    seen = ViewCamera(
        camera_from_world=tuple(camera.camera_from_world.ravel().tolist()),
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx,
        cy=camera.cy,
        width=camera.width,
        height=camera.height,
        near=near,
    )
    return PhotoData(color=color, camera=seen, background=background)
