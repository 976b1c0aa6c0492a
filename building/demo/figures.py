"""Measures what the tour made, draws its strips, and writes summary.json: python -m building.demo.figures FOLDER"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from backend.splats.io.atomic import write_bytes

GAP, CAPTION = 4, 18  # pixels
AROUND = 4  # pixels by which the object's outline is widened before it is measured


def load(path: Path) -> np.ndarray:
    """[H, W, 4] 0..1, straight alpha."""
    return np.asarray(Image.open(path).convert("RGBA"), np.float64) / 255


def on_white(picture: np.ndarray) -> np.ndarray:
    """[H, W, 3]"""
    return picture[..., :3] * picture[..., 3:] + 1 - picture[..., 3:]


def psnr(truth: np.ndarray, picture: np.ndarray, where: np.ndarray | None = None) -> float:
    """In dB, on white; where: [H, W] the pixels that count."""
    error = (on_white(truth) - on_white(picture)) ** 2
    return float(-10 * np.log10((error if where is None else error[where]).mean()))


def outline(truth: np.ndarray) -> np.ndarray:
    """[H, W] where the object is, and a little around it."""
    return binary_dilation(truth[..., 3] > 0.5, iterations=AROUND)


def measure(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
    """pairs: the names of a picture by Blender and of one of splats."""
    found: list[dict[str, float]] = []
    for truth, picture in ((load(folder / f"{a}.png"), load(folder / f"{b}.png")) for a, b in pairs):
        found.append({"whole": psnr(truth, picture), "object": psnr(truth, picture, outline(truth))})
    return found


def mean(figures: Sequence[dict[str, float]], name: str) -> float:
    return round(float(np.mean([figure[name] for figure in figures])), 2)


def strip(folder: Path, rows: Sequence[tuple[str, Sequence[str]]], target: Path) -> None:
    """Rows of pictures with a caption over each."""
    pictures = [[Image.fromarray(as_bytes(load(folder / f"{name}.png"))) for name in names] for _, names in rows]
    width, height = pictures[0][0].size
    columns = max(len(row) for row in pictures)
    canvas = Image.new("RGB", (columns * (width + GAP) - GAP, len(rows) * (height + CAPTION)), "white")
    pen = ImageDraw.Draw(canvas)
    for r, ((caption, _), row) in enumerate(zip(rows, pictures, strict=True)):
        pen.text((2, r * (height + CAPTION) + 3), caption, fill="black")
        for c, picture in enumerate(row):
            canvas.paste(picture, (c * (width + GAP), r * (height + CAPTION) + CAPTION))
    write_bytes(target, png(canvas))


def story(folder: Path, target: Path) -> None:
    """One row that tells what was done."""
    told = {
        "A scene in Blender": "look_0_truth",
        "captured and trained": "look_0_splats",
        "in the viewport": "overlay",
        "as a mesh": "mesh",
        "posed by its armature": "turn_0",
        "from the other side": "turn_3",
    }
    pictures = [Image.fromarray(as_bytes(load(folder / f"{name}.png"))) for name in told.values()]
    width, height = pictures[0].size
    canvas = Image.new("RGB", (len(told) * width, height + CAPTION), "white")
    pen = ImageDraw.Draw(canvas)
    for i, (caption, picture) in enumerate(zip(told, pictures, strict=True)):
        canvas.paste(picture, (i * width, CAPTION))
        pen.text((i * width + 8, 3), caption, fill="black")
    write_bytes(target, png(canvas))


def png(picture: Image.Image) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, format="PNG", optimize=True)
    return encoded.getvalue()


def as_bytes(picture: np.ndarray) -> np.ndarray:
    return (on_white(picture) * 255).round().astype(np.uint8)


def summarize(folder: Path) -> dict[str, Any]:
    """Writes the strips and the summary. folder: what the tour filled."""
    tour = json.loads((folder / "tour.json").read_text(encoding="utf-8"))
    pictures = folder / "pictures"
    summary: dict[str, Any] = {**tour, "minutes": round(sum(tour["seconds"].values()) / 60, 2)}
    turns = sorted(path.stem for path in pictures.glob("turn_*.png"))
    strip(pictures, [("Splats, rendered by Blender (F12)", turns)], folder / "turntable.png")
    if (pictures / "unbound.png").is_file():
        looks = [f"look_{i}" for i in range(len(list(pictures.glob("look_*_truth.png"))))]
        poses = [f"pose_{i}" for i in range(len(list(pictures.glob("pose_*_truth.png"))))]
        held_out = measure(pictures, [(f"{name}_truth", f"{name}_splats") for name in looks])
        posed = measure(pictures, [(f"{name}_truth", f"{name}_bound") for name in poses])
        (unbound,) = measure(pictures, [(f"{poses[-1]}_truth", "unbound")])
        summary |= {
            "held_out": {"object_psnr": mean(held_out, "object"), "whole_psnr": mean(held_out, "whole")},
            "posed": {
                "object_psnr": mean(posed, "object"),
                "last_object_psnr": round(posed[-1]["object"], 2),
                "last_object_psnr_unbound": round(unbound["object"], 2),
            },
        }
        rows = [
            ("Blender's own render, from cameras that no training saw", [f"{name}_truth" for name in looks]),
            ("Splats, rendered by Blender (F12)", [f"{name}_splats" for name in looks]),
        ]
        strip(pictures, rows, folder / "held_out.png")
        rows = [
            ("Blender's own render of the posed mesh", [f"{name}_truth" for name in poses]),
            ("Splats that were bound to the mesh at rest", [f"{name}_bound" for name in poses]),
        ]
        strip(pictures, rows, folder / "posed.png")
        story(pictures, folder / "creature.png")
    write_bytes(folder / "summary.json", json.dumps(summary, indent=1).encode())
    return summary


if __name__ == "__main__":
    summarize(Path(sys.argv[1]))
