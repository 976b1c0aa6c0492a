"""How numbers, times and texts read in a panel."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from ..protocol import errors, things
from .session import JobView, Upload, Wish

# In pixels, on average, in Blender's own font at its usual size.
_WIDTH_OF_A_CHARACTER = 6.0
_MARGIN = 84  # pixels of a sidebar that hold no text: tabs, borders of a panel and a box, an icon
_STATUS = {
    "queued": "Waiting",
    "running": "Running",
    "paused": "Paused",
    "finished": "Finished",
    "stopped": "Stopped, result kept",
    "cancelled": "Thrown away",
    "failed": "Failed",
}
_WISHES: dict[Wish, str] = {
    "pause": "Pausing…",
    "resume": "Going on…",
    "stop": "Stopping, the result is kept…",
    "cancel": "Throwing away…",
}


def count(number: int) -> str:
    """812, 54,321, 1.25 million."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:.2f} million"


def splats(number: int) -> str:
    return "1 splat" if number == 1 else f"{count(number)} splats"


def following(version: things.VersionInfo, mesh: str) -> str:
    """Which of a bound version's splats follow the mesh of that name."""
    if version.bound_splats is None:
        return f"These splats follow '{mesh}'."
    sentences = [f"{count(version.bound_splats)} of {splats(version.splats)} follow '{mesh}'."]
    if version.far_splats:
        sentences.append(f"{count(version.far_splats)} of them are far from it, and are not stretched with it.")
    if version.bound_splats < version.splats:
        sentences.append("The others stay where they are.")
    return " ".join(sentences)


def size(bytes: int) -> str:
    """640 KB, 12.5 MB, 1.2 GB; decimal, as file managers say it."""
    if bytes < 1_000_000:
        return f"{max(1, round(bytes / 1e3))} KB" if bytes else "0 KB"
    return f"{bytes / 1e6:.1f} MB" if bytes < 1_000_000_000 else f"{bytes / 1e9:.1f} GB"


def duration(seconds: float) -> str:
    """40 s, 12 min, 3 h 05 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def status(state: things.JobState) -> str:
    """What a job is doing, in a word or two."""
    if state.status == "running" and state.stage:
        return sentence(state.stage)
    return _STATUS[state.status]


def doing(job: JobView) -> str:
    """The same of a job that the user steers: what was asked is heard at once, and done with the next step."""
    return status(job.state) if job.wish is None else _WISHES[job.wish]


def progress(job: JobView) -> str:
    """One line of a console: Fern: Training 400 of 1,000, PSNR 23.51 dB, 12,345 splats, 3 min left."""
    state = job.state
    parts = [f"{state.name}: {doing(job)}" + (f" {state.step:,} of {state.steps:,}" if state.steps else "")]
    if "psnr" in state.figures:
        parts.append(f"PSNR {state.figures['psnr']:.2f} dB")
    if state.figures.get("splats"):
        parts.append(splats(int(state.figures["splats"])))
    if job.seconds_left is not None:
        parts.append(f"{duration(job.seconds_left)} left")
    return ", ".join(parts)


def upload(sent: Upload) -> str:
    """12.5 MB of 340.0 MB, 40 s left."""
    if not sent.all:
        return "Reading the files"
    text = f"{size(sent.done)} of {size(sent.all)}"
    return text if sent.seconds_left is None else f"{text}, {duration(sent.seconds_left)} left"


def sentence(text: str) -> str:
    """With a capital letter, and without underscores."""
    text = text.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def lines(text: str, width: float, scale: float = 1.0) -> Sequence[str]:
    """The text, broken so that it fits a panel. width: of the region in pixels; scale: of Blender's interface."""
    characters = max(16, int((width / scale - _MARGIN) / _WIDTH_OF_A_CHARACTER))
    return [line for part in text.splitlines() for line in textwrap.wrap(part, characters) or [""]]


def settings_from_text(text: str) -> dict[str, things.SettingValue]:
    """The settings in a JSON object such as {"sh_degree": 2}; empty text is none. Raises UserError for other text."""
    if not text.strip():
        return {}
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise _unreadable(text) from error
    if not isinstance(found, dict):
        raise _unreadable(text)
    values: dict[str, things.SettingValue] = {}
    for name, value in found.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(value, bool | int | float | str | None):
            raise _unreadable(text)
        values[str(name)] = value  # pyright: ignore[reportUnknownArgumentType]
    return values


def _unreadable(text: str) -> errors.UserError:
    shown = text if len(text) < 80 else f"{text[:77]}..."
    return errors.UserError(
        "bad_input", f"The settings '{shown}' cannot be read.", 'Write them as {"sh_degree": 2, "antialiased": true}.'
    )
