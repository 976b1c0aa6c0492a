"""`splatwright edit`: changes a splat file by any editing method, or by a recipe of several edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backend.cli.options import (
    PATH,
    box_of_numbers,
    device_option,
    matrix_of_numbers,
    points_of_numbers,
    quiet_option,
    settings_option,
)
from backend.cli.progress import display
from backend.cli.select_words import steps_of_words
from backend.cli.terminal import print_json, say

if TYPE_CHECKING:
    import numpy as np

    from backend.jobs.device import DeviceChoice
    from backend.store.select_steps import SelectStep
    from shared_protocol.things import Matrix

EPILOG = """\b
Examples:
  splatwright edit crop scene.ply -o statue.ply --box "-1 -1 0  1 1 2"
  splatwright edit delete scene.ply -o rest.ply --box "-1 -1 0  1 1 2"
  splatwright edit color scene.ply -o warm.ply --set red=1.1 --set blue=0.9
  splatwright edit delete scene.ply -o clean.ply --select "opacity 0 0.05" --select "floaters 20"
  splatwright edit set_scale scene.ply -o metres.ply --points "0 0 0  0 1.7 0" --set length=0.3
  splatwright edit join scene.ply -o both.ply --with tree.ply
  splatwright edit scene.ply clean.ply --recipe recipe.json

\b
METHOD is any method of the kind "editing"; 'splatwright methods' lists them, 'splatwright methods crop'
says what one can be told with --set. A box is six numbers, its lowest and its highest corner, or sixteen:
the matrix, row after row, that carries the cube from -1 to 1 to where the box is. An edit with a box is
about what is in it, and one with --select about the splats that are selected: by opacity, size, elongation,
distance or sh_energy (LOW HIGH), color (R G B and a tolerance, 0 to 1), box, sphere (X Y Z RADIUS), inside or
outside (a mesh file), floaters (of how many at most), all. Each --select adds to those before it, or does with
them what its first word says: set, subtract, intersect; grow, shrink, connected and invert go on from them.
A recipe is what was edited in Blender, written as JSON: it is done again to IN.
"""


@click.command(
    short_help="Crop and otherwise change a splat file.",
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
)
@click.argument("first", metavar="METHOD SPLATS -o OUT | IN OUT --recipe FILE", type=str)
@click.argument("second", metavar="", type=PATH)
@click.option("-o", "--output", type=PATH, help="The splat file to write; with --recipe it stands after IN.")
@click.option("--recipe", type=PATH, metavar="FILE", help="Do the edits of this recipe, one after another.")
@click.option(
    "--box", callback=box_of_numbers, metavar="NUMBERS", help="Where the method works: six or sixteen numbers."
)
@click.option(
    "--select",
    callback=steps_of_words,
    multiple=True,
    metavar="WORDS",
    help="Only the splats that are selected; may be repeated.",
)
@click.option(
    "--matrix", callback=matrix_of_numbers, metavar="NUMBERS", help="What transform does, instead of its settings: 4x4."
)
@click.option(
    "--points", callback=points_of_numbers, metavar="NUMBERS", help="Points on the splats: three numbers each."
)
@click.option("--mesh", type=PATH, help="A mesh, where the method takes one.")
@click.option("--with", "others", type=PATH, multiple=True, help="Splats that join takes in; may be repeated.")
@click.option("--apart", type=PATH, help="The splat file for what separate takes out.")
@settings_option
@device_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the result.")
def edit(
    first: str,
    second: Path,
    output: Path | None,
    recipe: Path | None,
    box: np.ndarray | None,
    select: tuple[SelectStep, ...],
    matrix: np.ndarray | None,
    points: np.ndarray | None,
    mesh: Path | None,
    others: tuple[Path, ...],
    apart: Path | None,
    settings: dict[str, str],
    device: DeviceChoice,
    quiet: bool,
    as_json: bool,
) -> None:
    """Change a splat file by the editing METHOD, or by a recipe."""
    from backend.jobs.edit_files import EditRequest, edit_file
    from backend.jobs.recipes import EditStep, JoinedFile, mesh_from, read_recipe
    from backend.jobs.running import RunningJob

    given = [box, matrix, points, mesh, *select, *others, *settings]
    if recipe is not None:
        if output is not None or any(value is not None for value in given):
            raise click.UsageError("with --recipe, give only IN and OUT: the recipe says the rest.")
        splats, target, steps, beside = Path(first), second, read_recipe(recipe).steps, recipe.absolute().parent
    else:
        if output is None:
            raise click.UsageError("say with -o where the result goes.")
        step = EditStep(
            method=first,
            select=select,
            settings=settings,
            box=_matrix(box),
            matrix=_matrix(matrix),
            points=() if points is None else tuple(map(tuple, points.tolist())),
            mesh=mesh_from(mesh),
            others=tuple(JoinedFile(file=str(path.absolute())) for path in others),
        )
        splats, target, steps, beside = second, output, (step,), Path()
    with display(quiet=quiet or as_json) as screen:
        report = edit_file(EditRequest(splats, target, steps, beside, apart, device), RunningJob(screen))
    if as_json:
        print_json(report)
    elif not quiet:
        say(f"{report.splats:,} of {report.splats_before:,} splats, written to {report.output}.")
        if report.apart is not None:
            say(f"{report.splats_apart:,} splats, written to {report.apart}.")


def _matrix(numbers: np.ndarray | None) -> Matrix | None:
    return None if numbers is None else tuple(numbers.ravel().tolist())
