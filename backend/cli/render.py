"""`splatwright render`: a picture of a splat file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backend.cli.options import PATH, antialiased_option, device_option, set_threads, threads_option
from backend.cli.terminal import print_json, say

EPILOG = """\b
Examples:
  splatwright render scene.ply --capture photos/ --view 0012.jpg -o view.png
  splatwright render scene.ply --camera camera.json --background transparent -o view.png
  splatwright render scene.ply --camera camera.json --depth -o depth.npy

\b
A camera file is JSON, with the camera looking along +z, x to the right and y down (OpenCV):
  {"world_from_camera": [[1,0,0,0], [0,1,0,0], [0,0,1,-4], [0,0,0,1]],
   "fx": 500, "width": 640, "height": 480}
fy, cx and cy (pixels) may be added; camera_from_world may be given instead.

Depth is the mean distance along the viewing axis in world units. A .npy file holds it exactly; a 16-bit
PNG holds counts, and the world units of one count are printed and stored in the PNG as "depth_scale".
"""


@click.command(short_help="Draw a picture or a depth map of a splat file.", epilog=EPILOG)
@click.argument("splat", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The picture to write (.png; .npy for depth).")
@click.option("--capture", type=PATH, help="Look through a camera of this capture ...")
@click.option("--view", metavar="NAME", help="... namely the one that took this photo.")
@click.option("--camera", type=PATH, help="Look through the camera in this JSON file.")
@click.option(
    "--resolution",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="The longer side of the picture.  [default: the camera's own]",
)
@click.option("--depth", is_flag=True, help="Write depth instead of colours.")
@click.option(
    "--background",
    default="black",
    show_default=True,
    metavar="COLOR",
    help="Behind the splats: transparent, black, white or #rrggbb.",
)
@click.option(
    "--near",
    type=click.FloatRange(min=0, min_open=True),
    help="Splats nearer than this, in world units, are not drawn.",
)
@antialiased_option
@device_option
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the picture.")
def render(splat: Path, output: Path, threads: int | None, as_json: bool, **wishes: Any) -> None:
    """Draw the file SPLAT through one camera."""
    if (wishes["camera"] is None) == (wishes["capture"] is None):
        raise click.UsageError("Give either --camera FILE, or --capture FOLDER with --view NAME.")
    if (wishes["capture"] is None) != (wishes["view"] is None):
        raise click.UsageError("--capture and --view go together.")
    from backend.jobs.picture import PictureRequest, render_picture

    set_threads(threads)
    report = render_picture(PictureRequest(splat, output, **wishes))
    if as_json:
        print_json(report)
        return
    say(f"{report.width} x {report.height} pixels, written to {report.output}.")
    if report.depth_range is not None:
        say(f"Depth from {report.depth_range[0]:.6g} to {report.depth_range[1]:.6g} world units.")
    if report.depth_scale is not None:
        say(f"One count is {report.depth_scale:.9g} world units; 0 means that nothing is there.")
