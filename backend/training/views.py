"""The photos as training sees them: on the device, at full and half size, in a shuffled order, on a background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from backend.captures.capture import Photo
from backend.splats.cameras import Camera
from backend.training.frame import SceneFrame
from backend.training.settings import background_color

_SMALLEST_HALF = 16  # pixels; smaller photos stay as they are in the coarse part
_NEIGHBOURS = 8  # photos, as in PGSR
_LARGEST_TURN = 45.0  # degrees between the ways in which neighbours look
_SMALLEST_BASELINE = 0.01  # camera extents: from nearly the same place, depth cannot be told
_PHOTOS_ON_DEVICE = 0.25  # of the free memory; more photos than that wait in main memory


@dataclass(frozen=True)
class Picture:
    """One photo at one size, with the camera that matches its pixels."""

    pixels: Tensor  # uint8 [H, W, 3], premultiplied by alpha
    alpha: Tensor | None  # uint8 [H, W]
    weight: Tensor | None  # uint8 [H, W]
    viewmat: Tensor  # [1, 4, 4]
    intrinsics: Tensor  # [1, 3, 3]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    def target(self, background: Tensor) -> Tensor:
        """The photo on a background colour [3], float [H, W, 3]."""
        target = self._on_device(self.pixels) * (1 / 255)
        if self.alpha is not None:
            target += (1 - self._on_device(self.alpha)[..., None] * (1 / 255)) * background
        return target

    def weights(self) -> Tensor | None:
        """How much each pixel counts, 0..1 [H, W]; None = all the same."""
        return None if self.weight is None else self._on_device(self.weight) * (1 / 255)

    def project(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [..., 2] (column, row; 0.5 is the middle of the first), and whether the places lie ahead: only then do
        their pixels say anything. places: [..., 3] in the camera's frame, OpenCV axes."""
        ahead = places[..., 2] > 1e-6
        z = torch.where(ahead, places[..., 2], torch.ones_like(places[..., 2]))
        k = self.intrinsics[0]
        column, row = k[0, 0] * places[..., 0] / z + k[0, 2], k[1, 1] * places[..., 1] / z + k[1, 2]
        return torch.stack([column, row], -1), ahead

    def _on_device(self, values: Tensor) -> Tensor:
        return values.to(self.viewmat.device, non_blocking=True)


@dataclass(frozen=True)
class TrainingView:
    """One photo at full size and, for the coarse part, at half size."""

    full: Picture
    half: Picture
    pose: int | None = None  # of the mesh that the photo shows; None = at rest


def load_views(
    photos: Sequence[Photo],
    frame: SceneFrame,
    device: torch.device,
    *,
    coarse: bool,
    pose_of: Callable[[Photo], int | None] = lambda photo: None,
) -> list[TrainingView]:
    """Puts photos on the device. The photos are not changed and not kept."""
    pixel_bytes = sum(photo.rgb.nbytes for photo in photos) * (4 if coarse else 3) // 3
    where = torch.device("cpu")
    if device.type == "cuda" and pixel_bytes < _PHOTOS_ON_DEVICE * torch.cuda.mem_get_info(device)[0]:
        where = device
    views = []
    for photo in photos:
        camera = frame.camera(photo.camera)
        rgb = photo.rgb if photo.alpha is None else _premultiplied(photo.rgb, photo.alpha)
        full = _picture(rgb, photo.alpha, photo.weight, camera, device, where)
        half = full
        if coarse and min(camera.width, camera.height) >= 2 * _SMALLEST_HALF:
            size = (camera.width // 2, camera.height // 2)
            alpha, weight = (None if a is None else _shrunk(a, size) for a in (photo.alpha, photo.weight))
            half = _picture(_shrunk(rgb, size), alpha, weight, camera.resized(*size), device, where)
        views.append(TrainingView(full, half, pose_of(photo)))
    return views


def neighbours_of(views: Sequence[TrainingView]) -> list[tuple[int, ...]]:
    """For each view the numbers of the nearest ones that look the same way at the same pose, nearest first."""
    poses = np.stack([view.full.viewmat[0].double().cpu().numpy() for view in views])
    centres = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
    ways = poses[:, 2, :3]
    found = []
    for number, view in enumerate(views):
        baselines = np.linalg.norm(centres - centres[number], axis=1)
        fits = (ways @ ways[number] > np.cos(np.radians(_LARGEST_TURN))) & (baselines > _SMALLEST_BASELINE)
        fits &= np.array([other.pose == view.pose for other in views])
        nearest = np.argsort(baselines, kind="stable")
        found.append(tuple(int(other) for other in nearest[fits[nearest]][:_NEIGHBOURS]))
    return found


def _premultiplied(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return ((rgb.astype(np.uint16) * alpha[..., None] + 127) // 255).astype(np.uint8)


def _shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)


def _picture(
    rgb: np.ndarray,
    alpha: np.ndarray | None,
    weight: np.ndarray | None,
    camera: Camera,
    device: torch.device,
    where: torch.device,
) -> Picture:
    return Picture(
        pixels=_stored(rgb, device, where),
        alpha=None if alpha is None else _stored(alpha, device, where),
        weight=None if weight is None else _stored(weight, device, where),
        viewmat=torch.tensor(camera.camera_from_world, dtype=torch.float32, device=device)[None],
        intrinsics=torch.tensor(camera.intrinsics, dtype=torch.float32, device=device)[None],
    )


def _stored(pixels: np.ndarray, device: torch.device, where: torch.device) -> Tensor:
    tensor = torch.tensor(pixels, device=where)
    # Pinned memory lets the copy to the GPU run beside the previous step.
    return tensor.pin_memory() if device.type == "cuda" and where.type == "cpu" else tensor


@dataclass
class ViewOrder:
    """Every view once, in random order, again and again."""

    count: int
    waiting: list[int]  # the rest of this round; the last is next

    def next(self, generator: torch.Generator) -> int:
        if not self.waiting:
            self.waiting = torch.randperm(self.count, generator=generator, device=generator.device).tolist()
        return self.waiting.pop()


@dataclass(frozen=True)
class Background:
    """What shows behind the splats, in the picture and in the photo alike."""

    fixed: Tensor | None  # [3]; None = another colour at every step
    shown: Tensor  # [3] for judging the result

    @classmethod
    def of(cls, name: str, has_transparency: bool, device: torch.device) -> Background:
        """The background that the setting names; "auto" is random for photos with transparency, else black."""
        color = background_color(name)
        if color is None and name == "auto" and not has_transparency:
            color = (0.0, 0.0, 0.0)
        fixed = None if color is None else torch.tensor(color, device=device)
        if has_transparency:
            shown = torch.ones(3, device=device)  # by convention figures of cut-out objects are measured on white
        else:
            shown = torch.zeros(3, device=device) if fixed is None else fixed
        return cls(fixed, shown)

    def draw(self, generator: torch.Generator) -> Tensor:
        """The colour for one step, [3]."""
        if self.fixed is not None:
            return self.fixed
        return torch.rand(3, generator=generator, device=generator.device)
