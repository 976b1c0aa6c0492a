"""`splatwright edit`: changes a splat file by any editing method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backend.cli.options import PATH, box_of_numbers, quiet_option, settings_option
from backend.cli.progress import display
from backend.cli.terminal import print_json, say

if TYPE_CHECKING:
    import numpy as np

EPILOG = """\b
Examples:
  splatwright edit crop scene.ply -o statue.ply --box "-1 -1 0  1 1 2"
  splatwright edit crop scene.ply -o rest.ply --box "-1 -1 0  1 1 2" --set keep=outside

\b
METHOD is any method of the kind "editing"; 'splatwright methods' lists them, 'splatwright methods crop'
says what one can be told with --set. A box is six numbers, its lowest and its highest corner, or sixteen:
the matrix, row after row, that carries the cube from -1 to 1 to where the box is.
"""


@click.command(short_help="Crop and otherwise change a splat file.", epilog=EPILOG)
@click.argument("method")
@click.argument("splats", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The splat file to write (.ply).")
@click.option(
    "--box", callback=box_of_numbers, metavar="NUMBERS", help="Where the method works: six or sixteen numbers."
)
@settings_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the result.")
def edit(
    method: str,
    splats: Path,
    output: Path,
    box: np.ndarray | None,
    settings: dict[str, str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Change the file SPLATS by the editing METHOD."""
    from backend.jobs.method_files import EditRequest, edit_file
    from backend.jobs.running import RunningJob

    with display(quiet=quiet or as_json) as screen:
        report = edit_file(EditRequest(method, splats, output, box, settings), RunningJob(screen))
    if as_json:
        print_json(report)
    elif not quiet:
        say(f"{report.splats:,} of {report.splats_before:,} splats, written to {report.output}.")
