"""`splatwright convert`: splat files into another format, frame or place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backend.cli.options import PATH, box_of_numbers, matrix_of_numbers, quiet_option
from backend.cli.progress import display
from backend.cli.terminal import bytes_in_words, print_json, say

if TYPE_CHECKING:
    import numpy as np

EPILOG = """\b
Examples:
  splatwright convert scene.ply scene.spz
  splatwright convert scene.spz scene.ply --from-frame opencv
  splatwright convert left.ply right.compressed.ply both.ply
  splatwright convert scene.ply statue.sog --crop "-1 -1 0  1 1 2" --sh-degree 1

\b
The name of OUT says the format. Every file becomes one in the frame that readers of that format expect, or in
the one that --frame names: opencv (x right, y down, z forward), z_up (Blender), y_up (glTF), or three letters
such as RUB for where x, y and z point. --from-frame overrules what the files say of themselves. --transform and
--crop work in the frame that is written: first the one, then the other.
"""


@click.command(short_help="Splat files into another format, frame or place.", epilog=EPILOG)
@click.argument("files", nargs=-1, type=PATH, metavar="IN... OUT")
@click.option("--frame", metavar="FRAME", help="Which way the axes point in OUT.  [default: as the format has it]")
@click.option("--from-frame", metavar="FRAME", help="Which way they point in every IN.  [default: as each file says]")
@click.option("--sh-degree", type=click.IntRange(0, 4), help="The highest degree of view-dependent colours to write.")
@click.option("--crop", callback=box_of_numbers, metavar="NUMBERS", help="Keep what is in a box: six numbers, or 16.")
@click.option("--transform", callback=matrix_of_numbers, metavar="NUMBERS", help="A 4x4 matrix, row after row.")
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the result.")
def convert(
    files: tuple[Path, ...],
    frame: str | None,
    from_frame: str | None,
    sh_degree: int | None,
    crop: np.ndarray | None,
    transform: np.ndarray | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the splats of the files IN as OUT; several become one."""
    if len(files) < 2:
        raise click.UsageError("Give at least one file to read, and at last the one to write.")
    from backend.jobs.convert import ConvertRequest, convert_files
    from backend.jobs.running import RunningJob

    *inputs, output = files
    request = ConvertRequest(tuple(inputs), output, frame, from_frame, sh_degree, transform, crop)
    with display(quiet=quiet or as_json) as screen:
        report = convert_files(request, RunningJob(screen))
    if as_json:
        print_json(report)
        return
    for note in report.notes:
        say(f"Note: {note}")
    if not quiet:
        count = f"{report.splats:,} splats" if report.splats == report.splats_before else ""
        count = count or f"{report.splats:,} of {report.splats_before:,} splats"
        say(f"{count} ({report.format}, {report.frame}), {bytes_in_words(report.bytes)}, written to {report.output}.")
