"""`splatwright bind`: hangs a splat file on a mesh, and poses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backend.cli.options import PATH, quiet_option, settings_option
from backend.cli.progress import display
from backend.cli.terminal import print_json, say

EPILOG = """\b
Examples:
  splatwright bind fox.ply fox.obj -o bound.safetensors                    splats and binding in one file
  splatwright bind fox.ply fox.obj --pose jump.obj -o jump.ply             the splats as the moved mesh takes them
  splatwright bind fox.ply fox.obj --pose run.npz -o frames/fox_####.ply   a file for each frame of an animation
  splatwright bind bound.safetensors jump.obj --method apply_pose -o jump.ply
  splatwright bind fox.ply mesh.ply --strength red -o bound.safetensors     as strongly as the vertices are red
  splatwright bind fox.ply fox.obj --set far=follow --far-group head.npy -o bound.safetensors

\b
The mesh must stand where the splats stand. A posed mesh is the same mesh with its vertices moved: as many of
them, in the same order. An animation is a .npz file of numpy's with the array "vertices", frames x vertices x 3.
WEIGHTS are one number for each vertex: a .npy file of numpy's, a .npz file with the array "weights", or the
name of a property in the .ply file MESH (a colour counts from 0 to 255).
"""


@click.command(short_help="Let splats follow a mesh.", epilog=EPILOG)
@click.argument("splats", type=PATH)
@click.argument("mesh", type=PATH)
@click.option(
    "-o", "--output", type=PATH, required=True, help="A .ply of the splats, or .safetensors with the binding."
)
@click.option(
    "--pose",
    type=PATH,
    help="The mesh after it was moved, or a .npz of its vertices in each frame; the splats are written in that pose.",
)
@click.option(
    "--strength",
    metavar="WEIGHTS",
    help="How strongly splats follow each vertex, 0 to 1: a .npy file, or a property of the vertices of a .ply MESH.",
)
@click.option(
    "--far-group", metavar="WEIGHTS", help="Of the vertices that far splats follow as one, with --set far=follow."
)
@click.option("--method", default="bind", show_default=True, help="What to do; see 'splatwright methods'.")
@settings_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the result.")
def bind(splats: Path, mesh: Path, output: Path, quiet: bool, as_json: bool, **wishes: Any) -> None:
    """Hang the file SPLATS on the mesh file MESH, so that splats follow it."""
    from backend.jobs.method_files import BindRequest, bind_file
    from backend.jobs.running import RunningJob

    with display(quiet=quiet or as_json) as screen:
        report = bind_file(BindRequest(splats, mesh, output, **wishes), RunningJob(screen))
    if as_json:
        print_json(report)
    elif not quiet:
        where = f"{report.frames:,} frames written to" if "#" in report.output else "written to"
        say(f"{report.bound:,} of {report.splats:,} splats follow the mesh, {where} {report.output}.")
