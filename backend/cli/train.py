"""`splatwright train`: from photos to a splat file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backend.cli.options import PATH, device_option, resolution_option, set_threads, settings_option, threads_option
from backend.cli.progress import display
from backend.cli.terminal import duration_in_words, say

if TYPE_CHECKING:
    from backend.jobs.report import TrainReport

INTERRUPTED = 130

EPILOG = """\b
Examples:
  splatwright train photos/ -o scene.ply                        everything chosen for you
  splatwright train photos/ -o scene.ply --report scene.json    and write down how good it is
  splatwright train photos/ -o scene.ply --quality draft        a quick look
  splatwright train photos/ -o scene.ply --minutes 5            whatever five minutes give
  splatwright train photos/ -o scene.ply --resume               go on after a crash or Ctrl-C
  splatwright train photos/ -o scene.ply --method default --set sh_degree=2
  splatwright train photos/ -o better.ply --from clean.ply --edited-from scene.ply    go on after edits
  splatwright train photos/ -o fox.safetensors --method gs_mesh --mesh fox.obj   splats that follow the mesh

\b
CAPTURE is a folder of photos, with camera poses or without: transforms.json (NeRF, instant-ngp,
nerfstudio), COLMAP's sparse/0, LLFF's poses_bounds.npy, or just photos, whose poses are then computed.
Ctrl-C stops after the present step and keeps what there is; a second Ctrl-C ends at once.
"""


@click.command(short_help="Photos to a splat file.", epilog=EPILOG)
@click.argument("capture", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The splat file to write (.ply, .safetensors).")
@click.option("--report", type=PATH, help="Write figures (PSNR, SSIM, splats, time, ...) to this JSON file.")
@click.option(
    "--quality",
    type=click.Choice(["draft", "normal", "high"]),
    default="normal",
    show_default=True,
    help="How much work to do.",
)
@click.option("--method", help="How to train; see 'splatwright methods'.  [default: mcmc]")
@settings_option
@click.option("--mesh", type=PATH, help="The mesh, at rest, that a method such as gs_mesh hangs the splats on.")
@click.option("--poses", type=PATH, help="Where the mesh is in each photo.  [default: CAPTURE/mesh_poses.npz]")
@click.option("--from", "start", type=PATH, help="Go on from these splats instead of points.")
@click.option("--edited-from", type=PATH, help="What --from was before it was edited: then the edits stay.")
@click.option("--steps", type=click.IntRange(min=1), help="How many steps to train.")
@click.option("--max-splats", type=click.IntRange(min=1), help="How many splats the file may hold.")
@resolution_option
@click.option(
    "--masks",
    type=click.Choice(["auto", "ignore", "segment", "alpha", "off"]),
    default="auto",
    show_default=True,
    help="What masks mean: pixels to ignore, or the outline of the object; alpha takes the photos' own transparency.",
)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same result.  [default: 0]")
@device_option
@threads_option
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this time and keep the result."
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training of the same output.")
@click.option("--keep-checkpoints", is_flag=True, help="Keep OUTPUT.training/ after finishing.")
@click.option("--strict", is_flag=True, help="Fail when a photo that the capture lists is missing.")
@click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors.")
def train(capture: Path, output: Path, minutes: float | None, threads: int | None, quiet: bool, **wishes: Any) -> int:
    """Train splats from the photos in the folder CAPTURE."""
    from backend.jobs.interrupts import stop_on_signals
    from backend.jobs.running import RunningJob
    from backend.jobs.splat_files import read_given_splats
    from backend.jobs.train_request import DEFAULT_METHOD, TrainRequest
    from backend.jobs.training import train_capture

    set_threads(threads)
    wishes["method"] = wishes["method"] or DEFAULT_METHOD
    start, before = wishes.pop("start"), wishes.pop("edited_from")
    if before is not None and start is None:
        raise click.UsageError("--edited-from says what the splats of --from were; give both.")
    wishes["given"] = None if start is None else lambda: read_given_splats(start, before)
    with display(quiet=quiet) as screen:
        job = RunningJob(screen, minutes=minutes)
        with stop_on_signals(job, screen.note, before_exit=screen.let_go):
            report = train_capture(TrainRequest(capture, output, **wishes), job)
    if not quiet:
        for line in _result_in_words(report, wishes["report"]):
            say(line)
    return INTERRUPTED if report.stopped == "interrupted" else 0


def _result_in_words(report: TrainReport, written_to: Path | None) -> list[str]:
    lines = []
    if report.stopped is not None:
        why = "Interrupted" if report.stopped == "interrupted" else "The time was up"
        planned = report.plan["steps"]
        lines.append(f"{why} after {report.steps:,} of {planned:,} steps; the same command with --resume goes on.")
    if report.psnr is not None and report.ssim is not None:
        lines.append(f"PSNR {report.psnr:.2f} dB, SSIM {report.ssim:.4f} on {report.test_views} held-out views.")
    else:
        lines.append("No views were held out, so there are no figures.")
    lines.append(f"{report.splats:,} splats in {duration_in_words(report.seconds)}, written to {report.output}.")
    if written_to is not None:
        lines.append(f"Report: {written_to}")
    return lines
