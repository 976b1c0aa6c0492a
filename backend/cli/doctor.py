"""`splatwright doctor`: what this machine can do, what is missing, and how to mend it."""

from __future__ import annotations

import click

from backend.cli.terminal import bytes_in_words, print_facts, print_json

EPILOG = """\b
Examples:
  splatwright doctor
  splatwright doctor --json

Exit code 1 means that something needed is missing.
"""


@click.command(short_help="What this machine can do, and what is missing.", epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> int:
    """Show what this machine can do, what is missing, and how to mend it."""
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
