from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from blender_addon.core.wheel_check import OLDEST, Found, carried, complaint

REPOSITORY = Path(__file__).resolve().parents[3]
LOCAL = "/blender/extensions/.local/lib/python3.11/site-packages"
WELL = {"pyzmq": Found("27.3.0", LOCAL), "msgspec": Found("0.22.0", LOCAL)}


@pytest.mark.parametrize("version", ["27.0", "27.0.0", "27.3.0", "28.1", "100"])
def test_new_enough_is_not_complained_about(version: str) -> None:
    assert complaint({**WELL, "pyzmq": Found(version, LOCAL)}, {"Tracker": {"pyzmq": "25.1.2"}}) == ""


@pytest.mark.parametrize("version", ["25.1.2", "26.4.0", "9.9", "26.4.0rc1"])
def test_the_extension_that_brings_an_old_one_is_named(version: str) -> None:
    others = {"Tracker": {"pyzmq": version, "numpy": "1.0"}, "Painter": {"pillow": "9.0.0"}}
    assert complaint({**WELL, "pyzmq": Found(version, LOCAL)}, others) == (
        f"Splatwright needs pyzmq 27.0 or newer, and Blender has {version}, which the extension 'Tracker' "
        "brings along: update 'Tracker', then start Blender again."
    )


def test_of_several_extensions_the_one_with_this_version_is_named() -> None:
    others = {"Tracker": {"pyzmq": "25.1.2"}, "Bridge": {"pyzmq": "26.0.0"}, "New": {"pyzmq": "27.9.0"}}
    sentence = complaint({**WELL, "pyzmq": Found("26.0.0", LOCAL)}, others)
    assert "'Bridge'" in sentence and "Tracker" not in sentence and "New" not in sentence


def test_an_old_one_that_no_extension_brings_is_shown_where_it_is() -> None:
    sentence = complaint({**WELL, "msgspec": Found("0.18.6", "/usr/lib/python3/dist-packages")}, {})
    assert sentence == (
        "Splatwright needs msgspec 0.22 or newer, and Blender finds 0.18.6 in /usr/lib/python3/dist-packages: "
        "update or remove it there."
    )


def test_what_is_missing_asks_for_another_installation() -> None:
    sentence = complaint({"pyzmq": WELL["pyzmq"]}, {})
    assert sentence == "Splatwright needs msgspec 0.22 or newer, and it is not there: install Splatwright again."


def test_wheels_are_read_from_the_paths_of_a_manifest() -> None:
    wheels = ["./wheels/pyzmq-25.1.2-cp311-cp311-win_amd64.whl", "./wheels/Typing_Extensions-4.1-py3-none-any.whl", "x"]
    assert carried(wheels) == {"pyzmq": "25.1.2", "typing-extensions": "4.1"}


def test_the_extension_asks_for_what_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = {requirement.name: requirement for requirement in map(Requirement, project["dependencies"])}
    for package, oldest in OLDEST.items():
        lowest = {part.version for part in asked[package].specifier if part.operator == ">="}
        assert [version.removesuffix(".0") for version in lowest] == [oldest.removesuffix(".0")]
