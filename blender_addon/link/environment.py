"""How the private environment is: looked at whenever Blender starts, so nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..core.backend_state import Environment
from ..core.paths import Places


class Marker(msgspec.Struct, frozen=True):
    """Written when an environment is whole."""

    version: str  # of the backend
    cuda: bool


def survey(places: Places, version: str = "") -> tuple[Environment, str]:
    """How the environment is, and why it is broken. version: the one that is wanted; "" = any."""
    if not Path(places.environment).exists():
        return "missing", ""
    if not Path(places.python).exists():
        return "broken", "The environment's Python is gone."
    try:
        marker = msgspec.json.decode(Path(places.marker).read_bytes(), type=Marker)
    except (OSError, msgspec.MsgspecError):
        return "broken", "The installation did not come to its end."
    if version and marker.version != version:
        return "broken", f"The environment holds version {marker.version}, this extension needs {version}."
    return "whole", ""
