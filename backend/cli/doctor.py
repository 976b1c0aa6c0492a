"""`splatwright doctor`: what this machine can do, what is missing, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import click

from backend.cli.options import workspace_option
from backend.cli.terminal import bytes_in_words, print_facts, print_json

EPILOG = """\b
Examples:
  splatwright doctor
  splatwright doctor --json
  splatwright doctor --rebuild                      check the workspace and make its catalogue anew
  splatwright doctor --rebuild --workspace /data/splats

Exit code 1 means that something needed is missing, or that something in the workspace is damaged.
"""


@click.command(short_help="What this machine can do, and what is missing.", epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--rebuild", is_flag=True, help="Make the catalogue of a workspace anew from its files, and check these.")
@workspace_option
def doctor(as_json: bool, rebuild: bool, workspace: Path | None) -> int:
    """Show what this machine can do, what is missing, and how to mend it. With --rebuild, mend a workspace."""
    if rebuild:
        return _rebuild(workspace, as_json)
    if workspace is not None:
        raise click.UsageError("--workspace goes with --rebuild.")
    from backend.jobs.checkup import check_up

    found = check_up()
    if as_json:
        print_json(found)
    else:
        memory = "unknown"
        if found.memory_bytes is not None and found.free_memory_bytes is not None:
            memory = f"{bytes_in_words(found.memory_bytes)}, {bytes_in_words(found.free_memory_bytes)} free"
        facts = {
            "device": f"{found.device} ({found.device_name})",
            "cores": f"{found.cores}, {found.threads or 'unknown'} threads",
            "load": "unknown" if found.load_average is None else f"{found.load_average:g}",
            "memory": memory,
        }
        for index, gpu in enumerate(found.gpus):
            facts[f"GPU {index}"] = f"{gpu.name}, {bytes_in_words(gpu.memory)}, driver {gpu.driver}"
        if not found.gpus:
            facts["driver"] = "no NVIDIA driver"
        facts |= {"CUDA": found.gsplat, "CPU kernels": found.kernels}
        facts |= {name: version or "not installed" for name, version in found.versions.items()}
        print_facts(facts)
        click.echo()
        for problem in found.problems:
            click.echo(f"{'Missing' if problem.hinders else 'Note'}: {problem.what} {problem.fix}".strip())
        if not found.problems:
            click.echo("Everything is there.")
    return 1 if any(problem.hinders for problem in found.problems) else 0


def _rebuild(folder: Path | None, as_json: bool) -> int:
    from backend.store.cards import AssetCard, CaptureCard, JobCard, VersionCard
    from backend.store.checking import check_workspace
    from backend.store.existing import open_existing

    with open_existing(folder) as workspace:
        problems = [*workspace.rebuild(), *check_workspace(workspace)]
        kinds = {"assets": AssetCard, "versions": VersionCard, "captures": CaptureCard, "jobs": JobCard}
        counts = {name: len(workspace.catalogue.all(kind)) for name, kind in kinds.items()}
    if as_json:
        said = [{"what": problem.message, "fix": problem.hint} for problem in problems]
        print_json({"workspace": str(workspace.folder), **counts, "problems": said})
    else:
        print_facts({"workspace": str(workspace.folder)} | {name: str(count) for name, count in counts.items()})
        click.echo()
        for problem in problems:
            click.echo(f"Damaged: {problem.message} {problem.hint}".strip())
        if not problems:
            click.echo("Everything is there and whole.")
    return 1 if problems else 0
