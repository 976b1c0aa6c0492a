"""The pins agree with each other and cover what pyproject asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from building.blender import VERSIONS

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = sorted((REPOSITORY / "requirements").glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)( \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")  # lines that go on after a pin


def pins(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        for line in (REPOSITORY / "requirements" / f"{name}.txt").read_text().splitlines():
            match = PIN.match(line)
            if match:
                found[canonicalize_name(match.group(1))] = match.group(2)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_line_is_an_exact_pin(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert lines and [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_files_that_are_installed_together_agree(device: str) -> None:
    merged = pins("common", device)
    for other in ("test", "check"):
        for name, version in pins(other).items():
            assert merged.setdefault(name, version) == version, name


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_the_wheel_asks_for_is_pinned_within_its_range(device: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = project["dependencies"] + extras["usd"] + (extras["cuda"] if device == "cuda" else [])
    pinned = pins("common", device, "test")  # what only the tests install is an extra of the wheel
    for line in asked:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), line


def test_the_wheels_inside_the_extension_are_those_of_the_backend() -> None:
    """The two talk to each other: one version of each is tested."""
    inside = pins("extension")
    assert set(inside) == {"pyzmq", "msgspec"}
    assert inside.items() <= pins("common").items()


@pytest.mark.parametrize("blender", VERSIONS)
def test_what_runs_in_blender_comes_out_of_the_zip(blender: str) -> None:
    held = pins(f"blender-{blender}")
    assert held["bpy"].startswith(f"{blender}.") and "pytest" in held
    assert held.keys().isdisjoint({"pyzmq", "msgspec", "splatwright", "torch"})
