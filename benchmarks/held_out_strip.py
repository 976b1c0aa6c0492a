"""Draws held-out photos of a capture with the trained splats' pictures below them, as one PNG to look at."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from backend.captures import Photo, View, load_capture, read_photos
from backend.jobs.device import choose_device
from backend.jobs.evaluation import WHITE, target
from backend.splats.io import read_cloud
from backend.splats.io.atomic import write_bytes
from backend.splats.rendering import CloudRenderer
from backend.splats.similarity import psnr

CAPTION_HEIGHT = 18  # pixels
GAP = 4  # pixels between pictures


@dataclass(frozen=True)
class Pair:
    """A photo and the picture of the splats from the same place, uint8 [H, W, 3]."""

    name: str
    photo: np.ndarray
    picture: np.ndarray
    psnr: float  # dB, of what is shown


def spread(views: Sequence[View], count: int) -> list[View]:
    """At most `count` views, evenly taken from the first to the last."""
    if len(views) <= count:
        return list(views)
    return [views[round(i * (len(views) - 1) / max(1, count - 1))] for i in range(count)]


def draw_pairs(splats: Path, capture: Path, report: Path, count: int) -> list[Pair]:
    """The pairs at the size and on the background that the training's report was measured with."""
    trained = json.loads(report.read_text(encoding="utf-8"))
    views = spread(load_capture(capture).test_views, count)
    photos = read_photos(views, max_pixels=trained["plan"]["max_pixels"], masks=trained["masks"])
    antialiased = trained["settings"].get("antialiased", False)
    renderer = CloudRenderer(read_cloud(splats), choose_device("auto"), antialiased=antialiased)
    return [_pair(renderer, photo, tuple(trained["background"])) for photo in photos]


def _pair(renderer: CloudRenderer, photo: Photo, background: tuple[float, float, float]) -> Pair:
    behind = background if photo.alpha is None else WHITE
    drawn = renderer.draw(photo.camera).on(behind)
    truth = target(photo, behind).to(drawn.device)
    pictures = [(image * 255).round().byte().cpu().numpy() for image in (truth, drawn)]
    return Pair(photo.name, pictures[0], pictures[1], float(psnr(drawn, truth)))


def strip(pairs: Sequence[Pair]) -> Image.Image:
    """One column a pair: caption, photo, picture."""
    widths = [pair.photo.shape[1] for pair in pairs]
    height = max(pair.photo.shape[0] for pair in pairs)
    size = (sum(widths) + GAP * (len(pairs) - 1), CAPTION_HEIGHT + 2 * height + GAP)
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    x = 0
    for pair, width in zip(pairs, widths, strict=True):
        pen.text((x + 2, 3), f"{Path(pair.name).name}   {pair.psnr:.1f} dB", fill="black")
        canvas.paste(Image.fromarray(pair.photo), (x, CAPTION_HEIGHT))
        canvas.paste(Image.fromarray(pair.picture), (x, CAPTION_HEIGHT + height + GAP))
        x += width + GAP
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("splats", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="what `splatwright train --report` wrote")
    parser.add_argument("--views", type=int, default=5, help="at most so many, evenly spread over the held-out ones")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    pairs = draw_pairs(given.splats, given.capture, given.report, given.views)
    if not pairs:
        parser.exit(1, f"'{given.capture}' holds no view back, so there is nothing to draw.\n")
    encoded = BytesIO()
    strip(pairs).save(encoded, format="PNG")
    write_bytes(given.output, encoded.getvalue())
    print(f"Drew {len(pairs)} held-out views into {given.output}")


if __name__ == "__main__":
    main()
