"""The demo's order of events: the zips, the tour in a Blender without a window, the figures, where to look."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import blender, extension_zips
from ..process import BIN, PYTHON, ROOT, Stop, run, say

TOUR = Path(__file__).with_name("tour.py")
LONGEST = 3600  # seconds
PREFERRED = ("5.2", "5.0", "4.5")


def demo(arguments: Sequence[str]) -> None:
    """arguments: [--capture FOLDER] [--blender VERSION]. Raises Stop."""
    parser = argparse.ArgumentParser(prog="build.py demo", description="Capture, train, mesh, bind, pose and render.")
    parser.add_argument("--capture", type=Path, help="real photos instead of a scene made by Blender")
    parser.add_argument("--blender", choices=PREFERRED, help="else the newest that can be had here")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where everything is put")
    given = parser.parse_args(arguments)
    if given.capture is not None and not given.capture.is_dir():
        raise Stop(f"There is no capture folder {given.capture}.")
    version, python = find_blender((given.blender,) if given.blender else PREFERRED)
    folder = given.folder.absolute()
    empty(folder)
    zips = extension_zips.build(ROOT / "dist")
    suited = next(path for path in zips if ("blender5.1" in path.name) == (version == "5.2"))
    say(f"The tour goes through Blender {version} without a window; pictures appear in {folder / 'pictures'}")
    words: list[str | Path] = [python, TOUR, "--", "--zip", suited, "--folder", folder]
    words += ["--command", BIN / "splatwright"]
    if given.capture is not None:
        words += ["--capture", given.capture.absolute()]
    tour(words, folder)
    run([PYTHON, "-m", "building.demo.figures", folder], "The pictures could not be measured.")
    if given.capture is not None:
        compare_with_photos(folder, given.capture)
    tell(folder, json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def find_blender(versions: Sequence[str]) -> tuple[str, Path]:
    reasons: list[str] = []
    for version in versions:
        try:
            return version, blender.python_with(version)
        except blender.NotHere as reason:
            reasons.append(f"{version}: {reason}")
    raise Stop(f"No Blender as a Python module can be had here ({'; '.join(reasons)}).")


def empty(folder: Path) -> None:
    """Of an earlier demo, and of nothing else."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ".demo").is_file() and folder != ROOT / "demo":
        raise Stop(f"{folder} is not empty and holds no demo; choose another --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / ".demo").touch()


def tour(words: Sequence[str | Path], folder: Path) -> None:
    """In a process and a home of its own: the user's Blender, settings and backends are not touched."""
    variables = {
        **os.environ,
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BLENDER_USER_RESOURCES": str(folder / "home" / "blender"),
        "SPLATWRIGHT_HOME": str(folder / "home" / "splatwright"),
    }
    variables.pop("PYTHONPATH", None)
    log = folder / "tour.log"
    with log.open("wb") as stream:
        process = subprocess.Popen([str(word) for word in words], env=variables, stdout=stream, stderr=stream)
        try:
            code = process.wait(LONGEST)
        finally:
            process.kill()
    if code != 0:
        last = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        raise Stop(f"The tour failed: {last[-1] if last else 'it said nothing'} ({log} says more.)")


def compare_with_photos(folder: Path, capture: Path) -> None:
    """Photos that were held out from the training, and what the splats show from the same place."""
    (report,) = (folder / "workspace").glob("jobs/*/report.json")
    strip: list[str | Path] = [PYTHON, "-m", "benchmarks.held_out_strip", folder / "splats.ply", capture.absolute()]
    strip += ["--report", report, "-o", folder / "held_out.png"]
    run(strip, "The held-out views could not be drawn.")


def tell(folder: Path, summary: dict[str, Any]) -> None:
    training, mesh = summary["training"], summary["mesh"]
    say(f"\n{summary['minutes']:.1f} minutes: " + ", ".join(f"{k} {v:.0f} s" for k, v in summary["seconds"].items()))
    if "psnr" in training:
        say(f"  trained          PSNR {training['psnr']:.2f} dB, {training['splats']:,.0f} splats")
    if "held_out" in summary:
        held_out, posed = summary["held_out"], summary["posed"]
        say(f"  new cameras      {held_out['object_psnr']} dB over the object, {held_out['whole_psnr']} dB in all")
        last, unbound = posed["last_object_psnr"], posed["last_object_psnr_unbound"]
        say(f"  posed            {posed['object_psnr']} dB over the object; last {last} dB, unbound {unbound} dB")
        say(f"  look at          {folder / 'creature.png'}, {folder / 'posed.png'}")
        say(f"                   {folder / 'pictures' / 'overlay.png'} (the viewport: a mesh in front and one behind)")
    say(f"  never trained on {folder / 'held_out.png'}")
    say(f"  the mesh         {mesh['faces']:,} faces: {folder / 'pictures' / 'mesh.png'}")
    say(f"  turntable        {folder / 'turntable.png'}")
    say(f"  the splats       {folder / 'splats.ply'}")
    say(f"  the .blend       {folder / 'scene.blend'}")
    say(f"  all figures      {folder / 'summary.json'}")
