"""What the default command makes of real captures: held-out PSNR and SSIM, time, and pictures to look at.

Runs `splatwright train CAPTURE -o ... --report ...` with no other option (those after -- are handed on), one capture
after the other. Pictures go to the folder of --pictures and are not part of the repository: they show the photos.
Run as `python build.py bench quality [CAPTURE ...]`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend import machine
from benchmarks.record import REPOSITORY, record

# capture -> the least PSNR it must reach on two CPU cores, in dB; None = reported only
CAPTURES = {"fox_posed": 31.5, "chair_synthetic": 34.3, "alexander_masked": None, "ethiopian_turntable": None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", default=list(CAPTURES), metavar="CAPTURE")
    parser.add_argument("--pictures", type=Path, default=REPOSITORY / "demo" / "quality", help="folder for the results")
    parser.add_argument("--name", default="quality", help="of the file with the figures")
    arguments, handed_on = parser.parse_known_args()
    handed_on = [option for option in handed_on if option != "--"]
    load_before = machine.load_average()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    rows = [_train(sample_folder() / name, arguments.pictures, handed_on) for name in arguments.captures]
    device = rows[0]["device"]
    claim = "the default command reaches the field's quality on photos it never saw, in minutes"
    record(
        arguments.name, claim, rows, device=device, settings={"options": handed_on}, load_before=load_before
    )  # fmt: skip


def sample_folder() -> Path:
    """Where the sample captures lie; exits with a sentence when they are not here."""
    folder = Path(os.environ.get("SPLATWRIGHT_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"The sample captures are not in {folder}; set SPLATWRIGHT_DATA.")
    return folder


def _train(capture: Path, pictures: Path, options: list[str]) -> dict[str, Any]:
    splats, report = pictures / f"{capture.name}.ply", pictures / f"{capture.name}.json"
    command = ["train", str(capture), "-o", str(splats), "--report", str(report), *options]
    _run("backend", *command)
    strip = pictures / f"{capture.name}.png"
    _run("benchmarks.held_out_strip", str(splats), str(capture), "--report", str(report), "-o", str(strip))
    figures = json.loads(report.read_text(encoding="utf-8"))
    columns = ("psnr", "ssim", "splats", "steps", "width", "height", "train_views", "test_views", "masks", "points")
    times = ("seconds", "cpu_seconds", "load_average", "device", "method", "seed")
    row: dict[str, Any] = {"capture": capture.name, "aim": CAPTURES.get(capture.name)}
    return row | {name: figures[name] for name in (*columns, *times)}


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=REPOSITORY, check=True)


if __name__ == "__main__":
    main()
