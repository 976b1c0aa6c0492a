"""`splatwright gc`: frees the space of what nothing reaches any more."""

from __future__ import annotations

from pathlib import Path

import click

from backend.cli.options import workspace_option
from backend.cli.terminal import bytes_in_words, print_json, say

EPILOG = """\b
Examples:
  splatwright gc --dry-run                  only say what would go, and how large it is
  splatwright gc --workspace /data/splats

Kept are the newest version of every asset, the versions that saved files name or open sessions can undo to, what those
need, and everything less than an hour old. The backend does the same whenever it starts.
"""


@click.command(short_help="Free the space of versions that nothing reaches.", epilog=EPILOG)
@workspace_option
@click.option("--dry-run", is_flag=True, help="Remove nothing, only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(workspace: Path | None, dry_run: bool, as_json: bool) -> None:
    """Remove the versions of assets that nothing can reach any more, and what crashes left behind."""
    from backend.store.existing import open_existing
    from backend.store.garbage import collect

    with open_existing(workspace) as opened:
        found = collect(opened, dry_run=dry_run)
        if as_json:
            print_json({"workspace": str(opened.folder), "removed": not dry_run, "garbage": found})
            return
    for item in found:
        click.echo(f"{bytes_in_words(item.bytes):>12}  {item.what}")
    total = bytes_in_words(sum(item.bytes for item in found))
    say(f"{'Would free' if dry_run else 'Freed'} {total} in {opened.folder}." if found else "There is nothing to free.")
