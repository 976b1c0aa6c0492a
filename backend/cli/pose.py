"""`splatwright pose`: computes where photos were taken from."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backend.cli.options import PATH
from backend.cli.progress import display
from backend.cli.terminal import print_json, say

EPILOG = """\b
Example:
  splatwright pose photos/

The poses are written to photos/sparse/0 in COLMAP's format. "splatwright train" does this by itself
for a folder without poses.
"""


@click.command(short_help="Compute where photos were taken from.", epilog=EPILOG)
@click.argument("folder", type=PATH)
@click.option("--force", is_flag=True, help="Compute them again, although that was done before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pose(folder: Path, force: bool, as_json: bool) -> None:
    """Compute the camera poses of the photos in FOLDER."""
    from backend.captures import pose_photos

    with display() as screen:
        screen.stage("Finding the camera poses")
        result = pose_photos(folder, force=force, on_progress=lambda done, total: screen.progress(done, total, {}))
    if as_json:
        print_json(msgspec.to_builtins(result))
        return
    error = result.mean_reprojection_error
    say(f"Registered {result.registered} of {result.total} photos, {error:.2f} px off on average.")
    if result.unregistered:
        say(f"Without a pose: {', '.join(result.unregistered)}")
    click.echo(folder / "sparse" / "0")
