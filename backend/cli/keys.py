"""`splatwright keys`: which clients on other machines may use a backend of this one."""

from __future__ import annotations

from pathlib import Path

import click

from backend.cli.options import PATH
from backend.cli.terminal import print_json

EPILOG = """\b
Examples:
  splatwright keys make laptop            writes laptop.key; take it to that machine, and to nobody else
  splatwright keys list
  splatwright keys remove laptop          that key opens the door no longer
"""


@click.group(short_help="Which clients on other machines may connect.", epilog=EPILOG)
def keys() -> None:
    """Make, list and remove the keys of clients on other machines."""


@keys.command(short_help="Make a key for a client.")
@click.argument("name")
@click.option("-o", "--output", type=PATH, help="The file to write.  [default: NAME.key]")
def make(name: str, output: Path | None) -> None:
    """Make a key for the client NAME."""
    from backend.server.keys import KeyFolder

    path = output or Path(f"{name}.key")
    KeyFolder.of_user().make(name, path)
    click.echo(f"Wrote '{path}'. Whoever has this file may use the backend: keep it as safe as a password.")


@keys.command("list", short_help="The clients that have a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects with name and public key.")
def list_(as_json: bool) -> None:
    """List the clients that have a key."""
    from backend.server.keys import KeyFolder

    clients = KeyFolder.of_user().clients()
    if as_json:
        print_json(clients)
        return
    for client in clients:
        click.echo(f"{client.name:<20} {client.public}")
    if not clients:
        click.echo("No client has a key. Make one: splatwright keys make NAME")


@keys.command(short_help="Lock a client out.")
@click.argument("name")
def remove(name: str) -> None:
    """Remove the key of the client NAME; it takes effect at once for new connections."""
    from backend.server.keys import KeyFolder

    KeyFolder.of_user().remove(name)
    click.echo(f"'{name}' may connect no longer.")
