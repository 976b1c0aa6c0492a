from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from backend.splats.raster import gsplat_build
from backend.splats.raster.cuda_toolkit import Toolkit
from shared_protocol.errors import UserError


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine that looks as if it had one GPU; gives the folder where its kernels would be kept."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _index: "Test GPU")
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.delitem(sys.modules, "gsplat.csrc", raising=False)
    gsplat_build.prepare_environment.cache_clear()
    folder = gsplat_build.kernels_folder()
    assert folder.parent == tmp_path
    yield folder
    gsplat_build.prepare_environment.cache_clear()


def finished(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "gsplat_cuda.so").write_bytes(b"")
    (folder / "trial.json").write_text("{}")


def test_a_torch_without_cuda_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert not gsplat_build.is_built()
    assert "for CPUs" in gsplat_build.state().reason


def test_a_driver_that_is_missing_or_too_old_is_told(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    now = gsplat_build.state()
    assert not now.usable and "driver too old" in now.reason and "580" in now.fix


def test_kernels_count_as_built_only_after_their_trial(gpu: Path) -> None:
    assert "not been built" in gsplat_build.state().reason
    gpu.mkdir()
    (gpu / "gsplat_cuda.so").write_bytes(b"")
    assert "not passed their trial" in gsplat_build.state().reason
    (gpu / "trial.json").write_text("{}")
    assert gsplat_build.state() == gsplat_build.GsplatState(True, "gsplat's CUDA kernels are built for Test GPU.")


def test_another_gpu_needs_another_build(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(gpu)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _index: (8, 6))
    assert "not been built" in gsplat_build.state().reason


def test_a_gpu_too_old_for_the_compiler_is_named(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _index: (6, 1))
    assert "Test GPU is older" in gsplat_build.state().reason
    with pytest.raises(UserError, match="Test GPU is older"):
        gsplat_build.build(lambda _text: None)


@pytest.mark.parametrize(("wanted", "listed"), [("9.0", "9.0"), ("9.0 8.6", "8.6;9.0"), ("9.0;8.6", "8.6;9.0")])
def test_the_architectures_can_be_given(monkeypatch: pytest.MonkeyPatch, wanted: str, listed: str) -> None:
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", wanted)
    assert gsplat_build.architectures() == listed


def test_training_never_starts_a_build(gpu: Path) -> None:
    with pytest.raises(UserError, match="have not been built") as caught:
        gsplat_build.prepare_environment()
    assert caught.value.hint == "Run: python3 build.py setup"
    assert not gpu.exists()


def test_gsplat_finds_the_built_library_where_it_looks_first(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(gpu)
    loaded = []

    def load(library: Path) -> None:
        loaded.append(library)
        monkeypatch.setitem(sys.modules, "gsplat.csrc", ModuleType(gsplat_build.LIBRARY))

    monkeypatch.setattr(gsplat_build, "use_library", load)
    gsplat_build.prepare_environment()
    gsplat_build.prepare_environment()
    assert loaded == [gpu / "gsplat_cuda.so"]
    assert gsplat_build.state().usable  # also with the library in its place
    from gsplat import csrc

    assert csrc is sys.modules["gsplat.csrc"]


def fake_python(folder: Path, *, writes: bool, says: str) -> str:
    """A program that, started in Python's place, leaves the library where it was told to, or fails."""
    line = f'mkdir -p "$TORCH_EXTENSIONS_DIR/gsplat_cuda"; echo "{says}"; env > "{folder}.env"; '
    done = 'echo elf > "$TORCH_EXTENSIONS_DIR/gsplat_cuda/gsplat_cuda.so"' if writes else "exit 1"
    script = folder.with_suffix(".sh")
    script.write_text(f"#!/bin/sh\n{line}{done}\n")
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def toolkit(gpu: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(gsplat_build, "require_compiler", lambda: None)
    monkeypatch.setattr(gsplat_build, "find_toolkit", lambda _folder: Toolkit(tmp_path / "cuda"))
    return gpu


def test_a_build_is_tried_out_and_then_kept(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_build.sys, "executable", fake_python(toolkit, writes=True, says="compiling"))
    monkeypatch.setattr(gsplat_build, "_try_out", lambda folder: json.dumps({"picture": 1e-6}).encode())
    said: list[str] = []
    gsplat_build.build(said.append)
    assert gsplat_build.is_built()
    assert json.loads((toolkit / "trial.json").read_text()) == {"picture": 1e-6}
    assert [path.name for path in sorted(toolkit.iterdir())] == ["build.log", "gsplat_cuda.so", "trial.json"]
    given = Path(f"{toolkit}.env").read_text()
    assert "TORCH_CUDA_ARCH_LIST=9.0\n" in given and "CUDA_HOME=" in given and "VERBOSE=1\n" in given
    gsplat_build.build(said.append)
    assert len(said) == 2  # one line for the build, one for the trial, and nothing the second time


def test_a_build_that_fails_says_what_the_compiler_said(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = "[1/30] nvcc -c a.cu\na.cu(3): error: identifier foo is undefined\nninja: build stopped"
    monkeypatch.setattr(gsplat_build.sys, "executable", fake_python(toolkit, writes=False, says=says))
    with pytest.raises(UserError, match="error: identifier foo is undefined") as caught:
        gsplat_build.build(lambda _text: None)
    assert str(toolkit / "build.log") in caught.value.hint
    assert not gsplat_build.is_built()


def test_an_interrupted_build_does_not_look_finished(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = toolkit / "building" / "gsplat_cuda"
    half.mkdir(parents=True)
    (half / "gsplat_cuda.so").write_bytes(b"half a library")
    assert not gsplat_build.is_built()
    monkeypatch.setattr(gsplat_build.sys, "executable", fake_python(toolkit, writes=True, says="compiling"))
    monkeypatch.setattr(gsplat_build, "_try_out", lambda folder: b"{}")
    gsplat_build.build(lambda _text: None)
    assert (toolkit / "gsplat_cuda.so").read_text() == "elf\n"


def test_kernels_that_draw_nonsense_are_not_used(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit.mkdir()
    (toolkit / "gsplat_cuda.so").write_bytes(b"")
    script = fake_python(toolkit, writes=False, says="the picture differs")
    monkeypatch.setattr(gsplat_build.sys, "executable", script)
    with pytest.raises(UserError, match="do not work on this GPU: the picture differs"):
        gsplat_build.build(lambda _text: None)
    assert not gsplat_build.is_built()


def test_the_command_ends_with_3_when_the_user_can_mend_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gsplat_build.main() == 3
    assert "for CPUs" in capsys.readouterr().out


def test_kernels_that_nobody_could_try_are_not_ready(
    toolkit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "9.0")
    monkeypatch.setattr(gsplat_build.sys, "executable", fake_python(toolkit, writes=True, says="compiling"))
    assert gsplat_build.main() == 3
    assert (toolkit / "gsplat_cuda.so").is_file() and not (toolkit / "trial.json").exists()
    assert "finds no NVIDIA GPU" in capsys.readouterr().out
