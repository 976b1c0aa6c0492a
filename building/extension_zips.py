"""Builds the zips that Blender installs: the extension, shared_protocol inside it, and unmodified wheels from PyPI.

There are two, because Blender takes a zip only when its wheels name Blender's own Python: pyzmq's wheel for 3.12 and
later (abi3) names none, so it cannot stand beside one for 3.11.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from . import backend_wheel
from .environment import make_environment, only_one_at_a_time, pip, wanted_device
from .process import REQUIREMENTS, ROOT, Stop, say

PINS = REQUIREMENTS / "extension.txt"
WHEELS = ROOT / ".blender" / "wheels"
ADDON, PROTOCOL = ROOT / "blender_addon", ROOT / "shared_protocol"
BESIDE_THE_CODE = (
    "pyright-*.json",
    "blender_manifest.toml",
    "__pycache__",
    "*.part",
    ".*",
)  # stand in blender_addon and stay here
BACKEND = "backend_package"  # the folder inside the zip; not among the wheels, which Blender installs
LINUX = {"linux-x64": "manylinux_2_28_x86_64", "linux-arm64": "manylinux_2_28_aarch64"}
WINDOWS = {"windows-x64": "win_amd64", "windows-arm64": "win_arm64"}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time a zip can name; the same for every file, so that zips can be compared


@dataclass(frozen=True)
class Flavour:
    """One of the zips."""

    name: str
    oldest: str  # Blender
    end: str  # the first Blender that this zip is no longer for; "" = none is known
    pythons: tuple[str, ...]
    platforms: dict[str, str]  # as Blender calls them, as pip calls them


FLAVOURS = (
    Flavour(
        "blender4.5",
        oldest="4.5.0",
        end="5.1.0",
        pythons=("3.11",),
        platforms={**LINUX, **WINDOWS, "macos-arm64": "macosx_11_0_arm64", "macos-x64": "macosx_10_15_x86_64"},
    ),
    Flavour(  # Blender's own builds are for Python 3.13, those of some distributions for 3.14
        "blender5.1",
        oldest="5.1.0",
        end="",
        pythons=("3.13", "3.14"),
        platforms={**LINUX, **WINDOWS, "macos-arm64": "macosx_11_0_arm64"},
    ),
)


def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def build(output: Path) -> list[Path]:
    """Writes both zips into `output`, checks them, and removes those of other versions. Raises Stop."""
    output.mkdir(parents=True, exist_ok=True)
    built = [output / f"splatwright-{version()}-{flavour.name}.zip" for flavour in FLAVOURS]
    for flavour, target in zip(FLAVOURS, built, strict=True):
        files = contents(flavour)
        complaints = flaws(flavour, set(files))
        if complaints:
            raise Stop(f"{target.name} would not be right: {'; '.join(complaints)}.")
        with tempfile.TemporaryDirectory(dir=output) as unfinished:
            write_zip(Path(unfinished, target.name), files)
            Path(unfinished, target.name).replace(target)
    for older in set(output.glob("splatwright-*-blender*.zip")) - set(built):
        older.unlink()
    return built


def contents(flavour: Flavour) -> dict[str, bytes]:
    """What the zip holds: path with "/" -> bytes."""
    wheels = wheels_of(flavour)
    files = {"blender_manifest.toml": manifest(flavour, [wheel.name for wheel in wheels]).encode()}
    for folder, prefix in ((ADDON, ""), (PROTOCOL, "shared_protocol/")):
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            left_out = any(Path(part).match(pattern) for part in inside.parts for pattern in BESIDE_THE_CODE)
            if path.is_file() and not left_out:
                files[prefix + inside.as_posix()] = path.read_bytes()
    files["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    backend = backend_wheel.build()  # the environment that the extension makes for its backend gets it from here
    files[f"{BACKEND}/{backend.name}"] = backend.read_bytes()
    return {**files, **{f"wheels/{wheel.name}": wheel.read_bytes() for wheel in wheels}}


def manifest(flavour: Flavour, wheels: list[str]) -> str:
    """blender_manifest.toml of one zip."""

    def listed(words: list[str]) -> str:
        return "".join(f'    "{word}",\n' for word in words)

    added = f'version = "{version()}"\nblender_version_min = "{flavour.oldest}"\n'
    if flavour.end:
        added += f'blender_version_max = "{flavour.end}"\n'
    added += f"platforms = [\n{listed(sorted(flavour.platforms))}]\n"
    added += f"wheels = [\n{listed([f'./wheels/{name}' for name in wheels])}]\n"
    template = (ADDON / "blender_manifest.toml").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", template, flags=re.MULTILINE)  # they speak of the template
    head, table, rest = text.partition("\n[permissions]")  # what is added stands before the first table
    return f"{head}{added}{table}{rest}"


def write_zip(target: Path, files: dict[str, bytes]) -> None:
    """The same files give the same bytes on every machine: sorted, without times, and not compressed.

    Nearly all of it is wheels, which are compressed already; and compressors differ from one Python to the next.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = 3  # as if made on Unix, wherever it is made
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])


# ---- wheels


def wheels_of(flavour: Flavour) -> list[Path]:
    """The wheels that go into the zip, downloaded when they are not here yet. pip compares their hashes."""
    wanted = f"{flavour}{PINS.read_text(encoding='utf-8')}"
    folder = WHEELS / f"{flavour.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        with only_one_at_a_time():
            make_environment(wanted_device())
            WHEELS.mkdir(parents=True, exist_ok=True)
            say(f"Downloading the wheels for {flavour.name}")
            with tempfile.TemporaryDirectory(dir=WHEELS) as unfinished:
                for python in flavour.pythons:
                    for platform in flavour.platforms.values():
                        download(Path(unfinished, "wheels"), python, platform)
                if not folder.is_dir():
                    shutil.move(Path(unfinished, "wheels"), folder)
    return sorted(folder.glob("*.whl"))


def download(folder: Path, python: str, platform: str) -> None:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--implementation", "cp"]
    asked = ["--python-version", python, "--platform", platform, "--requirement", PINS, "--dest", folder]
    pip("download", *options, *asked)


# ---- our own checks; Blender's are in blender.py


def flaws(flavour: Flavour, names: set[str]) -> list[str]:
    """What is missing in the zip, or must not be in it."""
    needed = {"__init__.py", "blender_manifest.toml", "LICENSE", "catalog.json"}
    needed |= {f"{BACKEND}/splatwright-{version()}-py3-none-any.whl"}
    needed |= {f"shared_protocol/{path.name}" for path in PROTOCOL.glob("*.py")}
    complaints = [f"{name} is missing" for name in sorted(needed - names)]
    foreign = re.compile(r"(^|/)(tests?|backend|__pycache__)(/|$)|\.(pyc|part|blend)$")
    complaints += [f"{name} does not belong in it" for name in sorted(names) if foreign.search(name)]
    wheels = [name for name in names if name.startswith("wheels/")]
    for package in re.findall(r"^(\w+)==", PINS.read_text(encoding="utf-8"), re.MULTILINE):
        for python in flavour.pythons:
            complaints += [
                f"{package} for Python {python} on {platform} is missing"
                for platform in flavour.platforms
                if not any(wheel_fits(wheel, package, python, platform) for wheel in wheels)
            ]
    return complaints


def wheel_fits(path: str, package: str, python: str, platform: str) -> bool:
    """Can this Python on this platform (as Blender calls it) use the wheel?"""
    name, _version, tag, abi, systems = Path(path).stem.split("-")
    minor = int(python.partition(".")[2])
    newest_enough = abi == "abi3" and int(tag.removeprefix("cp3")) <= minor
    system, machine = platform.split("-")
    words = (
        {"linux": "manylinux", "windows": "win", "macos": "macosx"},
        {
            "x64": ("x86_64", "amd64", "universal2"),
            "arm64": ("aarch64", "arm64", "universal2"),
        },
    )
    right_machine = systems.startswith(words[0][system]) and systems.endswith(words[1][machine])
    return name == package and (tag == f"cp3{minor}" or newest_enough) and right_machine
