"""Objects told apart by masks: how many splats get the right label, and how cleanly an object comes out of a capture.

The made scene is balls and boxes upon a ground, whose masks are drawn by the splats that are seen most in each pixel;
then a part of the pixels is given another label. Of a capture with masks, splats are trained on the whole photos,
labelled by the masks of the views they were trained on, and what belongs to the object is drawn from the held-out
views: likeness to the photo is over the mask, `outside` is the part of all that is drawn that lies off the mask by
more than a pixel, `covered` how much of the mask is drawn, and `veil` the part of what all splats show within the
mask that others than the object's show: blurred splats before it, with which some of the likeness goes. Pictures go
to the folder of --pictures and are not part of the repository: they show the photos.
Run as `python build.py bench labelling`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from backend import machine
from backend.captures import Photo, load_capture, read_photos
from backend.jobs.evaluation import BLACK, target
from backend.selection.flash_splat import Masked, belongs, best_labels, label_sums
from backend.selection.in_picture import Look
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import read_cloud
from backend.splats.io.joined import joined
from backend.splats.rendering import DEFAULT_FAR, DEFAULT_NEAR, CloudRenderer
from backend.splats.sh_basis import C0
from backend.splats.similarity import l1_ssim_loss, psnr
from benchmarks.quality import sample_folder
from benchmarks.record import Figure, record
from tests.made_splats import box, sphere

CAPTURE = "alexander_masked"
FLIPPED, LEAST_RIGHT = 0.1, 0.97
BIASES = (0.0, 0.5)
_VIEWS, _PIXELS = 12, 256
_MASKED_VIEWS = 24  # of the capture, as many as a job looks at
_WHITE = 0.5 / C0
_SHOWN = 4  # held-out views in the picture
_EDGE = np.ones((3, 3), np.uint8)  # masks are whole pixels, and splats fade out over one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=Path("demo") / "labelling", help="folder for the results")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    rows = [*_made_scene(), *_capture(arguments.pictures)]
    claim = "97 % of labels are right where a tenth of the masks is wrong; a separated object is drawn without the rest"
    settings = {"flipped": FLIPPED, "views": _VIEWS, "pixels": _PIXELS, "masked views": _MASKED_VIEWS}
    record("labelling", claim, rows, device="cpu", settings=settings, load_before=load_before)


# ---- a made scene


def _made_scene() -> list[dict[str, Figure]]:
    cloud, truth = objects_on_ground()
    masks = [Masked(look, labels_seen(cloud, truth, look)) for look in _around()]
    rows: list[dict[str, Figure]] = []
    for share in (0.0, FLIPPED):
        start = time.perf_counter()
        sums = label_sums(cloud, [replace(view, labels=flipped(view.labels, share)) for view in masks], "cpu")
        seconds = time.perf_counter() - start
        seen = sums.sum(axis=1) > 0.5  # of a pixel; of the others no mask tells anything
        right = float((best_labels(sums) == truth)[seen].mean())
        what = {"scene": f"objects on a ground, {share:.0%} of the mask pixels flipped", "splats": len(cloud)}
        rows.append(what | {"right": right, "seen": float(seen.mean()), "seconds": seconds, "met": right > LEAST_RIGHT})
    return rows


def objects_on_ground() -> tuple[SplatCloud, np.ndarray]:
    """Six objects that touch the ground and hide parts of each other, and the label of each splat; 0 = the ground."""
    parts = [_moved(_flat(box(3.0, 110)), (0, 0, 0))]
    for number in range(6):
        angle, radius = number * np.pi / 3, 1.1 if number % 2 else 1.6
        solid = sphere(0.45, 7000) if number % 2 else box(0.4, 35)
        parts.append(_moved(solid, (radius * np.cos(angle), radius * np.sin(angle), 0.42)))
    return joined(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.uint8)


def _flat(cloud: SplatCloud) -> SplatCloud:
    """The lower side of a solid, as a ground."""
    part = cloud.select(np.flatnonzero(cloud.means[:, 2] <= cloud.means[:, 2].min() + 1e-4))
    return replace(part, means=part.means * np.array([1, 1, 0], np.float32))


def _moved(cloud: SplatCloud, by: Sequence[float]) -> SplatCloud:
    return replace(cloud, means=cloud.means + np.array(by, np.float32))


def _around() -> list[Look]:
    """From above, around the middle."""
    looks: list[Look] = []
    for angle in np.linspace(0, 2 * np.pi, _VIEWS, endpoint=False):
        centre = np.array([6 * np.cos(angle), 6 * np.sin(angle), 3.5])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, (0, 0, 1))
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = [right, np.cross(forward, right), forward]
        pose[:3, 3] = -pose[:3, :3] @ centre
        camera = Camera(pose, 1.3 * _PIXELS, 1.3 * _PIXELS, _PIXELS / 2, _PIXELS / 2, _PIXELS, _PIXELS)
        looks.append(Look(camera, np.eye(4), DEFAULT_NEAR, DEFAULT_FAR))
    return looks


def labels_seen(cloud: SplatCloud, labels: np.ndarray, look: Look) -> np.ndarray:
    """uint8 [H, W]: the label of which most is seen in each pixel."""
    amounts = []
    for label in range(int(labels.max()) + 1):
        values = np.where(labels == label, _WHITE, -_WHITE).astype(np.float32)
        marked = replace(cloud, sh=np.repeat(values[:, None, None], 3, axis=2))
        amounts.append(CloudRenderer(marked, "cpu").draw(look.camera).color[..., 0].numpy())
    return np.stack(amounts).argmax(axis=0).astype(np.uint8)


def flipped(labels: np.ndarray, share: float) -> np.ndarray:
    """With so many of the pixels, any, given one of the other labels."""
    random, count = np.random.default_rng(0), int(labels.max()) + 1
    wrong = random.random(labels.shape) < share
    shift = random.integers(1, count, labels.shape)
    return np.where(wrong, (labels + shift) % count, labels).astype(np.uint8)


# ---- a capture


def _capture(pictures: Path) -> list[dict[str, Figure]]:
    folder, splats, report = sample_folder() / CAPTURE, pictures / f"{CAPTURE}.ply", pictures / f"{CAPTURE}.json"
    if not splats.is_file():
        command = ["train", str(folder), "-o", str(splats), "--report", str(report), "--quality", "draft"]
        subprocess.run([sys.executable, "-m", "backend", *command, "--masks", "off"], check=True)
    pixels = json.loads(report.read_text(encoding="utf-8"))["plan"]["max_pixels"]
    cloud, capture = read_cloud(splats), load_capture(folder)
    chosen = np.linspace(0, len(capture.train_views) - 1, min(len(capture.train_views), _MASKED_VIEWS)).round()
    shown = read_photos([capture.train_views[int(i)] for i in chosen], max_pixels=pixels, masks="ignore")
    start = time.perf_counter()
    sums = label_sums(cloud, _masked(shown), "cpu")
    seconds = time.perf_counter() - start
    held_out = read_photos(capture.test_views, max_pixels=pixels, masks="ignore")
    within = label_sums(cloud, _masked(held_out), "cpu")[:, 1]
    rows = [{"scene": f"{CAPTURE}, all splats"} | _figures(cloud, held_out)]
    columns = [[_photo(photo) for photo in held_out[:_SHOWN]], [_picture(cloud, photo) for photo in held_out[:_SHOWN]]]
    for bias in BIASES:
        own = belongs(sums, 1, bias)
        apart = cloud.select(np.flatnonzero(own))
        row: dict[str, Figure] = {"scene": f"{CAPTURE}, separated with a bias of {bias:g}", **_figures(apart, held_out)}
        rows.append(row | {"veil": float(within[~own].sum() / within.sum()), "seconds": seconds})
        columns.append([_picture(apart, photo) for photo in held_out[:_SHOWN]])
    sheet = np.concatenate([np.concatenate(column) for column in columns], axis=1)
    Image.fromarray(sheet).save(pictures / f"{CAPTURE}.png")
    return rows


def _masked(photos: Sequence[Photo]) -> list[Masked]:
    looks = [Look(photo.camera, np.eye(4), DEFAULT_NEAR, DEFAULT_FAR) for photo in photos]
    return [Masked(look, _inside(photo).astype(np.uint8)) for look, photo in zip(looks, photos, strict=True)]


def _figures(cloud: SplatCloud, photos: Sequence[Photo]) -> dict[str, Figure]:
    """Means over the views."""
    renderer, found = CloudRenderer(cloud, "cpu"), []
    for photo in photos:
        drawing, inside = renderer.draw(photo.camera), _inside(photo)
        alpha, weight = drawing.alpha.numpy(), torch.from_numpy(inside.astype(np.float32))
        near_mask = cv2.dilate(inside.astype(np.uint8), _EDGE) > 0
        found.append((
            float(psnr(drawing.on(BLACK), target(photo, BLACK), weight)),
            1 - float(l1_ssim_loss(drawing.on(BLACK), target(photo, BLACK), ssim_weight=1.0, weight=weight)),
            float(alpha[~near_mask].sum() / alpha.sum()),
            float(alpha[inside].mean()),
        ))  # fmt: skip
    names = ("psnr", "ssim", "outside", "covered")
    return {"splats": len(cloud), **dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))}


def _inside(photo: Photo) -> np.ndarray:
    """bool [H, W]: where the mask shows the object."""
    assert photo.weight is not None
    return photo.weight > 127


def _photo(photo: Photo) -> np.ndarray:
    return np.where(_inside(photo)[..., None], photo.rgb, photo.rgb // 3)


def _picture(cloud: SplatCloud, photo: Photo) -> np.ndarray:
    picture = CloudRenderer(cloud, "cpu").draw(photo.camera).on((0.2, 0.3, 0.2)).clamp(0, 1)
    return (picture * 255).round().byte().numpy()


if __name__ == "__main__":
    main()
