"""Photos as they would look if what they show had been edited like the splats that were learned from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from backend.captures.capture import Photo
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.rendering import CloudRenderer
from backend.splats.sh_basis import C0
from backend.training.given_splats import same_places

_ONE = 0.5 / C0  # a coefficient whose colour is 1
_NOTHING = 1 / 512  # of a pixel: a smaller change is left out


def edited_photos(
    photos: Sequence[Photo],
    edits: Sequence[tuple[SplatCloud, SplatCloud]],
    *,
    device: str,
    near: float,
    antialiased: bool,
    background: tuple[float, float, float],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Photo]:
    """The same photos where splats changed their colours only, with that change added to their pixels.

    edits: as in `GivenSplats`; photos go through one after the other.

    The farther a colour moved, the less a photo's difference from the splats is worth: it is that of the old colour.
    Where splats were deleted, moved or added, a photo cannot say what it would show: there it becomes what the edited
    splats show, by as much as those splats cover of the pixel, before or after.
    near: nearer splats are not drawn, in the capture's units. background: sRGB 0..1, behind photos without alpha.
    """
    edited, steps = list(photos), len(edits) * len(photos)
    for number, (before, after) in enumerate(edits):
        edit = _Edit(before, after, device, antialiased)
        for place, photo in enumerate(edited):
            edited[place] = edit.of(photo, near, np.array(background, np.float32))
            on_progress(number * len(photos) + place + 1, steps)
    return edited


class _Edit:
    """Draws splats as they were before and after an edit."""

    def __init__(self, before: SplatCloud, after: SplatCloud, device: str, antialiased: bool) -> None:
        self._drawn = [CloudRenderer(cloud, device, antialiased=antialiased) for cloud in (before, after)]
        self._marked = [
            CloudRenderer(_marked(cloud, ~same_places(cloud, other)), device, antialiased=antialiased)
            for cloud, other in ((before, after), (after, before))
        ]

    def of(self, photo: Photo, near: float, background: np.ndarray) -> Photo:
        then, now = (_pixels(renderer, photo.camera, near) for renderer in self._drawn)
        covered = np.maximum(*(_pixels(renderer, photo.camera, near)[..., :1] for renderer in self._marked))
        return _edited(photo, then, now, covered, background)


def _edited(photo: Photo, before: np.ndarray, after: np.ndarray, covered: np.ndarray, background: np.ndarray) -> Photo:
    """before, after: [H, W, 4] premultiplied. covered: [H, W, 1], by splats whose place or shape changed."""
    if np.abs(after - before).max(initial=0) < _NOTHING and covered.max(initial=0) < _NOTHING:
        return photo
    covered = np.maximum(covered, np.abs(after - before)[..., :3].max(axis=-1, keepdims=True)).clip(0, 1)
    rgb = photo.rgb.astype(np.float32) / 255
    if photo.alpha is None:
        flat = [picture[..., :3] + (1 - picture[..., 3:]) * background for picture in (before, after)]
        mixed = (1 - covered) * (rgb + flat[1] - flat[0]) + covered * flat[1]
        return replace(photo, rgb=_bytes(mixed))
    alpha = photo.alpha[..., None].astype(np.float32) / 255
    own = np.concatenate([rgb * alpha, alpha], -1)
    mixed = ((1 - covered) * (own + after - before) + covered * after).clip(0, 1)
    straight = mixed[..., :3] / np.maximum(mixed[..., 3:], 1 / 255)
    return replace(photo, rgb=_bytes(straight), alpha=_bytes(mixed[..., 3]))


@torch.no_grad()
def _pixels(renderer: CloudRenderer, camera: Camera, near: float) -> np.ndarray:
    """[H, W, 4] premultiplied sRGB 0..1."""
    drawing = renderer.draw(camera, near=near)
    return torch.cat([drawing.color, drawing.alpha[..., None]], -1).cpu().numpy()


def _marked(cloud: SplatCloud, marked: np.ndarray) -> SplatCloud:
    """The same splats, white where marked and else black, so that a picture says how much the marked ones cover."""
    values = np.where(marked, _ONE, -_ONE).astype(np.float32)
    return replace(cloud, sh=np.repeat(values[:, None, None], 3, axis=2))


def _bytes(values: np.ndarray) -> np.ndarray:
    return (values.clip(0, 1) * 255).round().astype(np.uint8)
