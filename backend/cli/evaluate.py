"""`splatwright eval`: how much a splat file looks like photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backend.cli.options import PATH, antialiased_option, device_option, resolution_option, set_threads, threads_option
from backend.cli.progress import display
from backend.cli.terminal import print_json

EPILOG = """\b
Examples:
  splatwright eval scene.ply photos/
  splatwright eval scene.ply photos/ --resolution 800 --json

Photos that were held out from training are compared: those of transforms_test.json where the capture has
one, else every 8th in file-name order. Photos with transparency are compared on white.
"""


@click.command("eval", short_help="Measure a splat file against held-out photos.", epilog=EPILOG)
@click.argument("splat", type=PATH)
@click.argument("capture", type=PATH)
@resolution_option
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="The most pixels a photo may have, instead of --resolution.  [default: as in training]",
)
@click.option(
    "--masks",
    type=click.Choice(["auto", "ignore", "segment", "alpha", "off"]),
    default="auto",
    show_default=True,
    help="What masks and transparency mean, as in training.",
)
@click.option(
    "--background",
    default="black",
    show_default=True,
    metavar="COLOR",
    help="Behind the splats: black, white or #rrggbb.",
)
@click.option("--all-views", is_flag=True, help="Compare the photos that were trained on, too.")
@antialiased_option
@device_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with the figures of every view.")
def evaluate(splat: Path, capture: Path, threads: int | None, as_json: bool, **wishes: Any) -> None:
    """Compare renders of the file SPLAT with the held-out photos of CAPTURE."""
    from backend.jobs.comparing import EvaluationRequest, compare_with_capture

    set_threads(threads)
    with display(quiet=as_json) as screen:
        report = compare_with_capture(EvaluationRequest(splat, capture, **wishes), screen)
    if as_json:
        print_json(report)
        return
    width = max(len(view.name) for view in report.views)
    for view in report.views:
        click.echo(f"{view.name:<{width}}  PSNR {view.psnr:6.2f} dB  SSIM {view.ssim:.4f}")
    click.echo(f"{'mean':<{width}}  PSNR {report.psnr:6.2f} dB  SSIM {report.ssim:.4f}")
