"""Options that several verbs have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

PATH = click.Path(path_type=Path)


def _settings(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"'{text}' is not of the form NAME=VALUE.", ctx, parameter)
        settings[name.strip()] = value.strip()
    return settings


def _numbers(ctx: click.Context, parameter: click.Parameter, text: str) -> np.ndarray:
    import numpy as np

    try:
        return np.array([float(part) for part in re.split(r"[\s,]+", text.strip())])
    except ValueError as error:
        raise click.BadParameter(f"'{text}' are not all numbers.", ctx, parameter) from error


def box_of_numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> np.ndarray | None:
    """The matrix [4, 4] of a box that was given by its corners or as a matrix."""
    if text is None:
        return None
    from backend.editing.box import Box

    numbers = _numbers(ctx, parameter, text)
    if len(numbers) == 6:
        return Box.between(numbers[:3], numbers[3:]).asset_from_box
    if len(numbers) == 16:
        return numbers.reshape(4, 4)
    raise click.BadParameter(f"a box is 6 or 16 numbers, not {len(numbers)}.", ctx, parameter)


def matrix_of_numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> np.ndarray | None:
    """[4, 4] of sixteen numbers, row after row."""
    if text is None:
        return None
    numbers = _numbers(ctx, parameter, text)
    if len(numbers) != 16:
        raise click.BadParameter(f"a transformation is 16 numbers, not {len(numbers)}.", ctx, parameter)
    return numbers.reshape(4, 4)


def points_of_numbers(ctx: click.Context, parameter: click.Parameter, text: str | None) -> np.ndarray | None:
    """[P, 3] of three numbers each."""
    if text is None:
        return None
    numbers = _numbers(ctx, parameter, text)
    if len(numbers) % 3:
        raise click.BadParameter(f"points are three numbers each, not {len(numbers)} in all.", ctx, parameter)
    return numbers.reshape(-1, 3)


settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="NAME=VALUE",
    help="Change a setting of the method; may be repeated.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes an NVIDIA GPU when it can be used.",
)
resolution_option = click.option(
    "--resolution",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="The longer side of the photos in pixels; larger photos are made smaller.",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="How many processor cores to use.  [default: all]"
)
workspace_option = click.option(
    "--workspace", type=PATH, help="Where assets, captures and jobs are kept.  [default: a folder of the user]"
)
antialiased_option = click.option(
    "--antialiased/--no-antialiased",
    default=None,
    help="Draw small splats fainter instead of larger, as some are trained.  [default: as the file says]",
)


def set_threads(threads: int | None) -> None:
    """Gives numba and torch that many threads each; None leaves both as they are."""
    if threads is not None:
        from backend.splats.kernels import set_thread_count

        set_thread_count(threads)
