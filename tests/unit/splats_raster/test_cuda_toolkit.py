from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backend.splats.raster import cuda_toolkit
from backend.splats.raster.cuda_toolkit import find_toolkit, require_compiler
from shared_protocol.errors import UserError


def finds(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in programs else None


@pytest.fixture(autouse=True)
def cuda_13(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A torch for CUDA 13 on a machine whose own CUDA is not looked at."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for name in ("CUDA_HOME", "CUDA_PATH", "CXX", "CPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cuda_toolkit.sys, "path", [str(tmp_path / "site-packages")])


@pytest.mark.parametrize(
    ("manager", "command"),
    [("apt-get", "sudo apt-get install -y g++ python3."), ("dnf", "sudo dnf install -y gcc-c++"), ("pacman", "gcc")],
)
def test_without_a_compiler_one_command_is_named(manager: str, command: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no C\\+\\+ compiler") as caught:
        require_compiler(finds(manager), headers=tmp_path)
    assert command in caught.value.hint and caught.value.hint.startswith("Run: ")


def test_without_a_package_manager_we_still_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        require_compiler(finds(), headers=tmp_path)
    assert "Install g++" in caught.value.hint


def test_missing_python_headers_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"headers are missing .*Python\.h"):
        require_compiler(finds("c++", "apt-get"), headers=tmp_path)
    (tmp_path / "Python.h").write_text("")
    require_compiler(finds("c++"), headers=tmp_path)


def test_a_compiler_of_another_name_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Python.h").write_text("")
    monkeypatch.setenv("CXX", "clang++")
    require_compiler(finds("clang++"), headers=tmp_path)
    with pytest.raises(UserError, match="clang"):
        require_compiler(finds("c++"), headers=tmp_path)


def packages(site: Path) -> Path:
    """NVIDIA's Python packages as pip unpacks them."""
    root = site / "nvidia" / "cu13"
    for file in ("bin/nvcc", "include/cusparse.h", "nvvm/bin/cicc", "lib/libcudart.so.13", "lib/libcudart_static.a"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("")
    return root


def test_the_compiler_from_packages_gets_a_home_that_the_linker_understands(tmp_path: Path) -> None:
    root = packages(tmp_path / "site-packages")
    toolkit = find_toolkit(tmp_path / "cuda")
    home = toolkit.home
    assert toolkit.environment() == {"CUDA_HOME": str(tmp_path / "cuda")}
    assert (home / "bin" / "nvcc").resolve() == root / "bin" / "nvcc"
    assert (home / "include" / "cusparse.h").is_file() and (home / "nvvm" / "bin" / "cicc").is_file()
    assert (home / "lib64" / "libcudart.so").resolve() == root / "lib" / "libcudart.so.13"
    assert find_toolkit(tmp_path / "cuda") == toolkit  # a second time, over the first


def nvcc_of(home: Path, release: str) -> Path:
    (home / "bin").mkdir(parents=True)
    nvcc = home / "bin" / "nvcc"
    nvcc.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.88'\n")
    nvcc.chmod(0o755)
    return home


def test_the_systems_toolkit_borrows_the_headers_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = nvcc_of(tmp_path / "toolkit", "13.0")
    headers = tmp_path / "site-packages" / "nvidia" / "cu13" / "include"
    headers.mkdir(parents=True)
    (headers / "cusparse.h").write_text("")
    monkeypatch.setenv("CUDA_HOME", str(home))
    assert find_toolkit(tmp_path / "cuda").environment() == {"CUDA_HOME": str(home), "CPATH": str(headers)}
    (home / "include").mkdir()
    (home / "include" / "cusparse.h").write_text("")
    assert find_toolkit(tmp_path / "cuda").environment() == {"CUDA_HOME": str(home)}


def test_a_toolkit_of_another_cuda_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_toolkit, "_system_homes", lambda: [nvcc_of(tmp_path / "old", "12.8")])
    with pytest.raises(UserError, match=r"no nvcc for CUDA 13\.0"):
        find_toolkit(tmp_path / "cuda")
