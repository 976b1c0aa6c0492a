"""`splatwright mesh`: a textured mesh of a splat file's surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backend.cli.options import PATH, device_option, quiet_option, set_threads, settings_option, threads_option
from backend.cli.progress import display
from backend.cli.terminal import duration_in_words, print_json, say

EPILOG = """\b
Examples:
  splatwright mesh scene.ply -o scene.glb --report scene.json
  splatwright mesh scene.ply -o scene.obj --capture photos/      look from where the photos were taken
  splatwright mesh scene.ply -o scene.glb --method poisson --set texture=4096
  splatwright mesh scene.ply -o scene.ply --set resolution=300 --set faces=none
  splatwright mesh fox.safetensors -o learned.obj --bound        the mesh that splats were learned on

\b
The mesh has a texture (.ply files: colours at the vertices) and stands where the splats stand, with the
same axes. With --capture the texture shows the photos. Without it the splats are looked at from all
around, which suits objects better than rooms.
"""


@click.command(short_help="A textured mesh of a splat file.", epilog=EPILOG)
@click.argument("splats", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The mesh file to write (.glb, .obj or .ply).")
@click.option("--report", type=PATH, help="Write vertices, faces, components, watertight, seconds to this JSON file.")
@click.option("--method", default="tsdf", show_default=True, help="How to make it; see 'splatwright methods'.")
@click.option("--capture", type=PATH, help="The capture that the splats were trained on.")
@click.option(
    "--bound",
    is_flag=True,
    help="Write the mesh at rest that SPLATS hang on; after a training on it, as it was learned.",
)
@settings_option
@device_option
@threads_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the report, too.")
def mesh(
    splats: Path, output: Path, bound: bool, threads: int | None, quiet: bool, as_json: bool, **wishes: Any
) -> None:
    """Make a mesh of the surface that the file SPLATS shows."""
    if bound:
        _write_bound(splats, output, quiet=quiet or as_json)
        return
    from backend.jobs.method_files import MeshRequest, mesh_file
    from backend.jobs.running import RunningJob

    set_threads(threads)
    with display(quiet=quiet or as_json) as screen:
        report = mesh_file(MeshRequest(splats, output, **wishes), RunningJob(screen))
    if as_json:
        print_json(report)
    elif not quiet:
        pieces = "one piece" if report.components == 1 else f"{report.components:,} pieces"
        closed = "closed" if report.watertight else "open"
        say(f"{report.vertices:,} vertices, {report.faces:,} triangles, {pieces}, {closed}.")
        if report.texture and report.texture_covered is not None:
            say(
                f"Texture of {report.texture} pixels from {report.color_from}, {report.texture_covered:.0%} of it seen."
            )
        say(f"Made in {duration_in_words(report.seconds)}, written to {report.output}.")


def _write_bound(splats: Path, output: Path, *, quiet: bool) -> None:
    from backend.jobs.splat_files import write_bound_mesh

    made = write_bound_mesh(splats, output)
    if not quiet:
        say(f"{len(made.vertices):,} vertices, {len(made.faces):,} triangles, written to {output}.")
