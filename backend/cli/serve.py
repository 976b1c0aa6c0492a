"""`splatwright serve`: the backend that Blender and scripts talk to."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Literal

import click

from backend.cli.options import PATH, device_option, threads_option, workspace_option
from backend.cli.terminal import say

EPILOG = """\b
Examples:
  splatwright serve                                 for Blender and scripts on this machine
  splatwright serve --workspace /data/splats        keep assets, captures and jobs there
  splatwright keys make laptop                      then, for a client on another machine:
  splatwright serve --address 192.168.1.20:7000

On this machine clients find the backend by themselves, and only those of the same user get in.
From other machines only clients with a key get in, and everything is encrypted.
"""


@click.command(short_help="Work for Blender and for scripts.", epilog=EPILOG)
@workspace_option
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST[:PORT]",
    help="Where to listen. Any address but this machine's own loopback needs a port and keys.",
)
@click.option(
    "--allow", "allowed", type=PATH, multiple=True, metavar="FOLDER", help="A folder whose files clients may use."
)
@device_option
@threads_option
@click.option("--owned", is_flag=True, help="End when standard input is closed: whoever started this holds it open.")
@click.option(
    "--at-end",
    type=click.Choice(["finish", "checkpoint"]),
    default="finish",
    show_default=True,
    help="What to do with a running job when the owner is gone.",
)
def serve(
    workspace: Path | None,
    address: str,
    allowed: tuple[Path, ...],
    device: Literal["auto", "cpu", "cuda"],
    threads: int | None,
    owned: bool,
    at_end: Literal["finish", "checkpoint"],
) -> None:
    """Serve clients until Ctrl-C. A working process that dies is started again, and its job goes on."""
    from backend.server.family import Orders
    from backend.server.keys import KeyFolder
    from backend.server.listening import Address
    from backend.server.parent import Parent
    from backend.store.existing import default_workspace
    from backend.store.folder_lock import FolderLock
    from shared_protocol.connection import connection_file, user_folder
    from shared_protocol.errors import UserError

    where, keys = Address.parse(address), KeyFolder.of_user()
    if not where.is_loopback and not where.control_port:
        raise UserError("bad_input", f"'{address}' has no port.", f"For example: --address {address}:7000")
    for folder in allowed:
        if not folder.is_dir():
            raise UserError("not_found", f"'{folder}' is no folder.", "Give a folder that exists with --allow.")
    user_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(user_folder() / "serve.lock") if where.is_loopback else None
    orders = Orders(
        workspace=str((workspace or default_workspace()).absolute()),
        address=where,
        token=secrets.token_hex(32),
        keys=str(keys.path.absolute()),
        device=device,
        threads=threads,
        allowed=tuple(str(folder.absolute()) for folder in allowed),
    )
    parent = Parent(orders, connection_file() if where.is_loopback else None, at_end=at_end, say=say)
    if owned:
        parent.watch_owner(os.dup(sys.stdin.fileno()))
    try:
        parent.run()
    finally:
        if lock is not None:
            lock.release()
