"""The check-up reports what is there and what is missing, and never fails over it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from backend.jobs import checkup
from backend.jobs.checkup import check_up, kernel_cache
from backend.jobs.device import choose_device
from backend.splats.raster import gsplat_build
from backend.splats.raster.gsplat_build import GsplatState
from shared_protocol.errors import UserError


def test_a_whole_installation_has_nothing_that_hinders() -> None:
    found = check_up()
    assert found.device in ("cpu", "cuda") and found.cores >= 1 and found.threads
    assert found.versions["torch"] and found.versions["python"]
    assert not [problem for problem in found.problems if problem.hinders]


def test_a_missing_package_hinders_and_comes_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "plyfile") else find(name))
    hindering = [problem for problem in check_up().problems if problem.hinders]
    assert [problem.what for problem in hindering] == [
        "The Python package 'torch' is not installed.",
        "The Python package 'plyfile' is not installed.",
    ]
    assert all("build.py setup" in problem.fix for problem in hindering)


def test_a_gpu_that_cannot_be_used_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = checkup.machine.Gpu("NVIDIA T4", "580.1", 16 * 2**30)
    monkeypatch.setattr(checkup.machine, "gpus", lambda: [gpu])
    monkeypatch.setattr(gsplat_build, "state", lambda: GsplatState(False, "the kernels have not been built.", "Do it."))
    found = check_up()
    assert found.device == "cpu"
    assert [p.fix for p in found.problems if "NVIDIA T4" in p.what and "not been built" in p.what] == ["Do it."]


def test_kernel_files_newer_than_their_cache_count_as_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "splats" / "raster"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "blend.py").write_text("@serial_kernel\ndef blend(): ...\n")
    (folder / "words.py").write_text("def say(): ...\n")
    index = folder / "__pycache__" / "blend.blend-2.py311.nbi"
    index.write_bytes(b"x")
    monkeypatch.setattr(checkup.backend, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert kernel_cache() == (1, 1)
    os.utime(index, (1, 1))
    assert kernel_cache() == (0, 1)


def test_cuda_is_taken_when_usable_and_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_build, "state", lambda: GsplatState(True, "ready"))
    assert (choose_device("auto"), choose_device("cuda"), choose_device("cpu")) == ("cuda", "cuda", "cpu")
    monkeypatch.setattr(gsplat_build, "state", lambda: GsplatState(False, "no driver.", "Install it."))
    assert choose_device("auto") == "cpu"
    with pytest.raises(UserError, match=r"no driver\. Install it\."):
        choose_device("cuda")
