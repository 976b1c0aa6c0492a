"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


def _settings(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"'{text}' is not of the form NAME=VALUE.", ctx, parameter)
        settings[name.strip()] = value.strip()
    return settings


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
    "--antialiased", is_flag=True, help="Draw small splats fainter instead of larger, if they were trained so."
)


def set_threads(threads: int | None) -> None:
    """Gives numba and torch that many threads each; None leaves both as they are."""
    if threads is not None:
        from backend.splats.kernels import set_thread_count

        set_thread_count(threads)
