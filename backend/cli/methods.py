"""`splatwright methods`: which methods there are and what each can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from backend.cli.terminal import print_json, print_table
from shared_protocol.schema import Setting

if TYPE_CHECKING:
    from backend.methods.registry import Method

EPILOG = """\b
Examples:
  splatwright methods              all methods
  splatwright methods mcmc         the settings of one
  splatwright train photos/ -o scene.ply --method mcmc --set sh_degree=2
"""


@click.command(short_help="The methods, and what each can be told.", epilog=EPILOG)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of methods, or one object with its settings.")
def methods(name: str | None, as_json: bool) -> None:
    """List the methods, or the settings of the method NAME."""
    from backend.methods import registry  # loads every method, and with them torch

    if name is None:
        found = registry.all_methods()
        if as_json:
            print_json([_summary(method) for method in found])
        else:
            _print_methods(found)
        return
    method = registry.find(name)
    if as_json:
        print_json(_summary(method) | {"settings": [msgspec.to_builtins(setting) for setting in method.settings]})
    else:
        click.echo(f"{method.label}: {method.help}\n")
        if not method.settings:
            click.echo("There is nothing to choose.")
            return
        _print_settings(method.settings)
        click.echo(f"\nChange them with --set NAME=VALUE, for example --set {_example(method.settings)}.")


def _summary(method: Method) -> dict[str, Any]:
    return {"id": method.id, "category": method.category, "label": method.label, "help": method.help}


def _print_methods(found: tuple[Method, ...]) -> None:
    from rich.table import Table

    table = Table("method", "kind", "what it does", box=None, pad_edge=False)
    for method in found:
        table.add_row(method.id, method.category, method.help)
    print_table(table)


def _print_settings(settings: tuple[Setting, ...]) -> None:
    from rich.table import Table

    from backend.jobs.settings import allowed_values

    table = Table("setting", "default", "values", "what it does", box=None, pad_edge=False)
    for setting in settings:
        default = "chosen for you" if setting.default is None else str(setting.default)
        table.add_row(setting.name, f"{default} {setting.unit}".strip(), allowed_values(setting), setting.help)
    print_table(table)


def _example(settings: tuple[Setting, ...]) -> str:
    shown = next((s for s in settings if s.default is not None and not s.advanced), settings[0])
    return f"{shown.name}={shown.default}"
