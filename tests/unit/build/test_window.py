from __future__ import annotations

import os
from pathlib import Path

import pytest

from building import window
from building.blender import NotHere


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(window.BLENDER_VARIABLE, raising=False)
    monkeypatch.delenv(window.CHROOT_VARIABLE, raising=False)
    monkeypatch.delenv(window.GRAPHICS_VARIABLE, raising=False)


def test_the_mirror_is_the_one_that_apt_is_configured_for(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    assert window.mirror_in(tmp_path) is None
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian stable main\n"
        "deb http://here.example/debian-security stable main\n"
        "deb [arch=amd64 trusted=yes] http://here.example/debian stable main\n"
    )
    assert window.mirror_in(tmp_path) == "http://here.example/debian"
    (tmp_path / "sources.list.d" / "debian.sources").write_text("Types: deb\nURIs: https://new.example/debian/\n")
    assert window.mirror_in(tmp_path) == "https://new.example/debian/"


def test_a_named_blender_that_is_none_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(window.BLENDER_VARIABLE, "/nowhere/blender")
    assert window.test([], []) == 0
    assert "skipped: SPLATWRIGHT_BLENDER is '/nowhere/blender', which is no program" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="programs are made of shell scripts")
def test_a_named_blender_is_used_on_the_display_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "blender"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(window.BLENDER_VARIABLE, str(program))
    monkeypatch.setenv("DISPLAY", ":7")
    rig = window.find()
    assert rig == window.Rig(str(program))
    command = rig.window_command(["--python", "x.py"], shared=[], variables={"A": "b"})
    assert command[:3] == ["env", "A=b", str(program)]
    assert command[-2:] == ["--python", "x.py"]
    assert rig.backend_command(tmp_path).name == "splatwright"


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.shutil, "which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(NotHere, match="is not empty"):
        window.make(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_without_the_tool_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.shutil, "which", lambda name: None)
    with pytest.raises(NotHere, match="mmdebstrap, which is not installed"):
        window.make(tmp_path / "chroot")


def test_the_backend_is_started_outside_of_the_chroot(tmp_path: Path) -> None:
    launcher = window.Rig("/usr/bin/blender", Path("/chroot")).backend_command(tmp_path)
    assert os.access(launcher, os.X_OK)
    assert "chroot /host" in launcher.read_text() and "splatwright" in launcher.read_text()


@pytest.mark.skipif(os.name != "posix", reason="a chroot is Linux's")
def test_blender_draws_by_vulkan_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    drivers = tmp_path / "usr/share/vulkan/icd.d"
    drivers.mkdir(parents=True)
    for name in ("lvp_icd.json", "nouveau_icd.json"):
        (drivers / name).write_text("{}")
    for graphics in window.GRAPHICS:
        rig = window.Rig("/usr/bin/blender", tmp_path, graphics)
        command = rig.window_command(["--python", "x.py"], shared=[], variables={})
        assert command[command.index("--gpu-backend") + 1] == graphics
        assert "VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/lvp_icd.json" in command
    monkeypatch.setenv(window.GRAPHICS_VARIABLE, "glide")
    assert window.test([], []) == 0
    assert "SPLATWRIGHT_GRAPHICS is 'glide', and not opengl or vulkan" in capsys.readouterr().out
