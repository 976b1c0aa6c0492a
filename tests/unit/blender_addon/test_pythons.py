from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from blender_addon.link.pythons import FoundPython, find_python, probe
from shared_protocol.errors import UserError

posix = pytest.mark.skipif(os.name != "posix", reason="fake Pythons are shell scripts")
GOOD = FoundPython("/usr/bin/python3.11", (3, 11, 2), 64, True, True, False)


def fake_python(folder: Path, name: str, **changes: object) -> Path:
    """A program that answers as such a Python would."""
    import msgspec

    folder.mkdir(exist_ok=True)
    script = folder / name
    answer = msgspec.json.encode(msgspec.structs.replace(GOOD, path=str(script), **changes)).decode()
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    return script


def look(*folders: Path, **more: object) -> FoundPython:
    path = os.pathsep.join(map(str, folders))
    # Patterns such as /usr/bin/python3.11 would find this machine's own.
    return find_python(variables={"PATH": path}, home=Path("/nobody"), **more)  # type: ignore[arg-type]


def test_a_real_python_says_what_it_can_do() -> None:
    found = probe(Path(sys.executable))
    assert found is not None
    assert found.version == sys.version_info[:3] and found.bits == 64 and not found.is_blenders
    assert Path(found.path).resolve() == Path(sys.executable).resolve()  # the Python itself, not the environment's


def test_a_given_python_is_taken_or_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no Python that runs"):
        find_python(str(tmp_path / "python"))


@posix
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": (3, 10, 4)}, "is Python 3.10; the backend needs 3.11 to 3.13"),
        ({"version": (3, 14, 0)}, "is Python 3.14; the backend needs 3.11 to 3.13"),
        ({"bits": 32}, "32 bit"),
        ({"can_make_environments": False}, "cannot make environments"),
        ({"is_blenders": True}, "Blender's own"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    python = fake_python(tmp_path, "python3.11", **changes)
    with pytest.raises(UserError, match=sentence) as refused:
        find_python(str(python))
    assert refused.value.hint and refused.value.kind == "unsupported"


@posix
def test_blenders_own_python_is_known_by_its_folder(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "blender", "python3.11")
    with pytest.raises(UserError, match="Blender's own"):
        find_python(str(python), avoid=[tmp_path / "blender"])


@posix
def test_the_first_good_one_along_path_is_found(tmp_path: Path) -> None:
    for folder, changes in (("old", {"version": (3, 9, 0)}), ("bare", {"can_make_environments": False})):
        fake_python(tmp_path / folder, "python3.11", **changes)
    good = fake_python(tmp_path / "good", "python3.12", version=(3, 12, 1))
    assert look(tmp_path / "old", tmp_path / "bare", tmp_path / "good").path == str(good)


@posix
def test_one_with_headers_is_preferred_because_gpu_kernels_need_them(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.11", has_headers=False)
    headed = fake_python(tmp_path, "python3.12", version=(3, 12, 1))
    assert look(tmp_path).path == str(headed)
    headed.unlink()
    assert look(tmp_path).short_version == "3.11" or look(tmp_path).has_headers  # this machine's own may be better


@posix
def test_a_program_that_is_no_python_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "python3.11"
    broken.write_text("#!/bin/sh\necho not installed >&2\nexit 127\n")
    broken.chmod(0o755)
    assert probe(broken) is None
    broken.write_text("#!/bin/sh\necho hello\n")
    assert probe(broken) is None


def test_blenders_variables_do_not_reach_the_python_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # it would not even start
    assert probe(Path(sys.executable)) is not None


@posix
def test_where_there_is_none_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blender_addon.link.pythons.python_patterns", lambda *_: ())  # not this machine's
    with pytest.raises(UserError, match=r"No Python 3\.11 to 3\.13 was found") as missing:
        look(tmp_path)
    assert "Install" in missing.value.hint
    fake_python(tmp_path, "python3.12", version=(3, 12, 1), can_make_environments=False)
    with pytest.raises(UserError, match="cannot make environments") as bare:
        look(tmp_path)
    assert sys.platform != "linux" or "python3.12-venv" in bare.value.hint
