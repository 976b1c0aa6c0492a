from __future__ import annotations

from pathlib import Path

import pytest

from building import backend_wheel


class FakePip:
    """Packs nothing, but leaves a wheel where it was told to."""

    def __init__(self) -> None:
        self.built = 0
        self.packed: set[str] = set()

    def __call__(self, verb: str, *arguments: str | Path, **variables: str) -> None:
        assert verb == "wheel" and variables == {"SOURCE_DATE_EPOCH": backend_wheel.FIRST_ZIP_TIME}
        folder = Path(arguments[arguments.index("--wheel-dir") + 1])
        folder.mkdir()
        sources = Path(arguments[-1])
        self.packed = {path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()}
        self.built += 1
        (folder / "splatwright-0.1.0-py3-none-any.whl").write_text(f"{self.built}")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("pyproject.toml", "README.md", "LICENSE", "backend/cloud.py", "shared_protocol/messages.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(backend_wheel, "ROOT", tmp_path)
    monkeypatch.setattr(backend_wheel, "WHEELS", tmp_path / ".blender" / "wheels")
    monkeypatch.setattr(backend_wheel, "state", lambda: {"project": "done"})
    return tmp_path


def test_the_backend_is_packed_when_its_sources_changed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = FakePip()
    monkeypatch.setattr(backend_wheel, "pip", pip)
    assert backend_wheel.build().read_text() == backend_wheel.build().read_text() == "1"
    for changed in ("backend/cloud.py", "shared_protocol/messages.py", "pyproject.toml"):
        (repository / changed).write_text("changed")
        assert backend_wheel.build().read_text() == str(pip.built)
    assert pip.built == 4
    (repository / "backend" / "cloud.py").rename(repository / "backend" / "clouds.py")
    assert backend_wheel.build().read_text() == "5"
    assert len(list(backend_wheel.WHEELS.iterdir())) == backend_wheel.KEPT + 1


def test_modules_that_are_long_gone_are_not_packed_and_nothing_is_written_beside_the_sources(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers = repository / "build" / "lib" / "backend" / "gone.py"
    leftovers.parent.mkdir(parents=True)
    leftovers.write_text("")
    pip = FakePip()
    monkeypatch.setattr(backend_wheel, "pip", pip)
    backend_wheel.build()
    assert pip.packed == {"LICENSE", "README.md", "backend/cloud.py", "pyproject.toml", "shared_protocol/messages.py"}
    assert leftovers.exists()
