"""What the verbs say: results go to standard output, everything about the way there to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from rich.table import Table

WIDTH_OF_FILES = 140


def say(text: str) -> None:
    """One plain line to standard error."""
    # Not click.echo: it finds its way around the progress display, which would then be written into.
    print(text, file=sys.stderr, flush=True)


def print_json(content: Any) -> None:
    """One JSON object to standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def print_facts(facts: dict[str, str]) -> None:
    """Names and values in two columns to standard output."""
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {value}")


def print_table(table: Table) -> None:
    """To standard output, as wide as the terminal, and wide enough to read in a file."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES).print(table)


def bytes_in_words(count: int) -> str:
    amount, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"


def duration_in_words(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
