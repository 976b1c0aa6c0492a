"""Builds the backend's own wheel, which stands alone and also travels inside the extension's zips."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from .environment import only_one_at_a_time, pip, prepare, state
from .process import ROOT

WHEELS = ROOT / ".blender" / "wheels"
KEPT = 3  # wheels of earlier sources; somebody else may be packing one of them
FIRST_ZIP_TIME = "315532800"  # 1980: the same sources give the same bytes


def build() -> Path:
    """The wheel of the sources as they are; built when they changed."""
    sources = [path for room in ("backend", "shared_protocol") for path in sorted((ROOT / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in (*(ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")), *sources):
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
    WHEELS.mkdir(parents=True, exist_ok=True)
    older = sorted(WHEELS.glob("backend-*"), key=lambda path: path.stat().st_mtime)
    for path in older[:-KEPT]:
        shutil.rmtree(path)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack modules that are long gone
    with tempfile.TemporaryDirectory(dir=WHEELS) as unfinished:
        made = Path(unfinished, "made")
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", made]
        pip("wheel", *options, ROOT, SOURCE_DATE_EPOCH=FIRST_ZIP_TIME)
        made.rename(folder)
