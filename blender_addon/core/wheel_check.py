"""Are the packages that all extensions of a Blender share new enough for us?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

OLDEST: dict[str, str] = {"pyzmq": "27.0", "msgspec": "0.22"}  # as pyproject.toml asks for


class Found(NamedTuple):
    """A package as Blender's Python finds it. version: "" = it is not there at all."""

    version: str
    folder: str = ""  # that it was found in


def complaint(found: Mapping[str, Found], carriers: Mapping[str, Mapping[str, str]]) -> str:
    """One sentence for each package that is missing or too old, with what to do; "" when all are well.

    found: package -> what Blender's Python finds. carriers: name of another extension -> package -> version it carries.
    """
    return " ".join(
        _complaint_about(package, oldest, found.get(package, Found("")), carriers)
        for package, oldest in OLDEST.items()
        if _numbers(found.get(package, Found("")).version) < _numbers(oldest)
    )


def carried(wheels: list[str]) -> dict[str, str]:
    """Package -> version, of the paths of wheels in an extension's manifest."""
    names = [wheel.replace("\\", "/").rpartition("/")[2].split("-") for wheel in wheels]
    return {name[0].replace("_", "-").lower(): name[1] for name in names if len(name) >= 5}


def _complaint_about(package: str, oldest: str, found: Found, carriers: Mapping[str, Mapping[str, str]]) -> str:
    needed = f"Splatwright needs {package} {oldest} or newer"
    if not found.version:
        return f"{needed}, and it is not there: install Splatwright again."
    older = [name for name, held in carriers.items() if _is_older(held.get(package), oldest)]
    exact = [name for name in older if carriers[name].get(package) == found.version]
    if not older:
        return f"{needed}, and Blender finds {found.version} in {found.folder}: update or remove it there."
    # Blender keeps the newest wheel of a name: the older one is there because it was in use when ours came.
    names = " and ".join(f"'{name}'" for name in exact or older)
    is_there = f"{needed}, and Blender has {found.version}, which the extension {names} brings along"
    return f"{is_there}: update {names}, then start Blender again."


def _is_older(version: str | None, oldest: str) -> bool:
    return version is not None and _numbers(version) < _numbers(oldest)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version; "26.4.0rc1" is (26, 4, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
