"""What goes into a training method and what comes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from backend.captures.capture import Photo, PointCloud
from backend.captures.mesh_poses import MeshPoses
from backend.rigging.binding import Binding
from backend.splats.cloud import SplatCloud
from backend.splats.representation import Representation
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.frame import SceneFrame
from backend.training.given_splats import GivenSplats
from backend.training.plan import TrainingPlan
from shared_protocol.errors import UserError


@dataclass(frozen=True)
class TrainingInputs:
    """Everything a training method reads; none of it is changed."""

    train_photos: Sequence[Photo]
    test_photos: Sequence[Photo]  # only looked at for the progress figures; may be empty
    points: PointCloud | None
    plan: TrainingPlan
    resume: bool = False  # go on from the newest checkpoint in the job's folder, if there is one
    mesh: TriangleMesh | None = None  # at rest, in the capture's frame; only some methods want one
    poses: MeshPoses | None = None  # in which pose each photo shows the mesh; None = all show it at rest
    start: GivenSplats | None = None  # what training goes on from; None = points, or what the method begins with

    def __post_init__(self) -> None:
        if not self.train_photos:
            raise UserError("bad_input", "There are no photos to train on.", "Add photos or hold out fewer.")

    def frame(self) -> SceneFrame:
        """The frame that training happens in."""
        points = None if self.points is None else self.points.positions
        if points is None and self.mesh is not None:
            points = self.mesh.vertices
        if points is None and self.start is not None:
            points = self.start.cloud.means
        return SceneFrame.around([photo.camera for photo in self.train_photos], points)

    def pose_of(self, photo: Photo) -> int | None:
        """The number of the pose in which the photo shows the mesh; None = at rest. Raises UserError without one."""
        return None if self.poses is None else self.poses.of(photo.name)

    @property
    def has_transparency(self) -> bool:
        return any(photo.alpha is not None for photo in self.train_photos)

    def fingerprint(self) -> str:
        """Tells captures apart: names, cameras, points and a sample of every photo's pixels."""
        digest = hashlib.sha256()
        for photo in self.train_photos:
            camera = photo.camera
            numbers = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
            digest.update(photo.name.encode())
            digest.update(np.array(numbers, np.float64).tobytes())
            digest.update(camera.camera_from_world.astype(np.float64).tobytes())
            for pixels in (photo.rgb, photo.alpha, photo.weight):
                if pixels is not None:
                    digest.update(np.ascontiguousarray(pixels[::4]).tobytes())
        if self.points is not None:
            digest.update(np.ascontiguousarray(self.points.positions).tobytes())
        if self.mesh is not None:
            digest.update(self.mesh.vertices.tobytes() + self.mesh.faces.tobytes())
        if self.start is not None:
            digest.update(self.start.digest())
        if self.poses is not None:
            digest.update(self.poses.vertices.tobytes())
            digest.update(repr(sorted(self.poses.shown.items())).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class TrainingResult:
    """What a training method leaves behind."""

    cloud: SplatCloud  # in the capture's frame; at rest
    steps: int  # done, counted from the very first, also when resumed
    finished: bool  # False when it was asked to stop early
    loss: float  # of the last step that was looked at
    background: tuple[float, float, float]  # sRGB 0..1, to show the cloud on
    near: float  # nearer splats were not drawn, in the capture's units
    binding: Binding | None = None  # what the splats hang on
    origins: np.ndarray | None = None  # int64 [N], which of the splats that it started from each is or comes from


class TrainingJob(Protocol):
    """The part of a job that training needs; every `backend.methods.job.Job` has it."""

    @property
    def folder(self) -> Path | None: ...

    @property
    def stop_early(self) -> bool: ...

    def progress(self, step: int, steps: int, **figures: float) -> None: ...

    def note(self, text: str) -> None: ...

    def show(self, live: Representation) -> None: ...

    def keep_with(self, save: Callable[[], None]) -> None: ...
