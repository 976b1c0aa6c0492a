"""`splatwright info`: what a splat file holds."""

from __future__ import annotations

from pathlib import Path

import click

from backend.cli.terminal import bytes_in_words, print_facts, print_json, say
from backend.splats.io import describe_file
from backend.splats.io.frames import axes_in_words

EPILOG = """\b
Examples:
  splatwright info scene.ply
  splatwright info scene.ply --json

\b
Splat files of every readable format are told apart by their content.
"""


@click.command(short_help="What a splat file holds.", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(file: Path, as_json: bool) -> None:
    """Show how many splats FILE holds, how they are coloured, and where they are."""
    described = describe_file(file)
    if as_json:
        print_json(described)
        return
    facts = {
        "file": described.path,
        "format": described.format,
        "size": bytes_in_words(described.bytes),
        "splats": f"{described.count:,}",
        "SH degree": str(described.sh_degree),
    }
    facts["axes"] = axes_in_words(described.frame)
    if described.antialiased is not None:
        facts["antialiased"] = "yes" if described.antialiased else "no"
    if described.extra:
        facts["further columns"] = ", ".join(described.extra)
    if described.bounds:
        low, high = described.bounds
        facts["lowest corner"] = "  ".join(f"{value:.4g}" for value in low)
        facts["highest corner"] = "  ".join(f"{value:.4g}" for value in high)
    print_facts(facts)
    for note in described.notes:
        say(f"Note: {note}")
