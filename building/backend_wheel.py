"""Builds the backend's own wheel, which stands alone and also travels inside the extension's zips."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from .environment import only_one_at_a_time, pip, prepare, state
from .process import ROOT

WHEELS = ROOT / ".blender" / "wheels"
FILES, ROOMS = ("pyproject.toml", "README.md", "LICENSE"), ("backend", "shared_protocol")
KEPT = 3  # wheels of earlier sources; somebody else may be packing one of them
FIRST_ZIP_TIME = "315532800"  # 1980: the same sources give the same bytes


def build() -> Path:
    """The wheel of the sources as they are; built when they changed."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    folder = WHEELS / f"backend-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        if "project" not in state():  # what packs it is not installed yet
            prepare()
        with only_one_at_a_time():
            if not folder.is_dir():  # somebody else may have built it while we waited
                pack(folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def pack(folder: Path) -> None:
    """From a copy: setuptools writes beside the sources, and would pack modules there that are long gone."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    older = sorted(WHEELS.glob("backend-*"), key=lambda path: path.stat().st_mtime)
    for path in older[:-KEPT]:
        shutil.rmtree(path)
    with tempfile.TemporaryDirectory(dir=WHEELS) as unfinished:
        made, copy = Path(unfinished, "made"), Path(unfinished, "sources")
        copy.mkdir()
        for name in FILES:
            shutil.copy(ROOT / name, copy)
        for room in ROOMS:
            shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", made]
        pip("wheel", *options, copy, SOURCE_DATE_EPOCH=FIRST_ZIP_TIME)
        made.rename(folder)
