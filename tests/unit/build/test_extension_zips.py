from __future__ import annotations

import hashlib
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from building import extension_zips
from building.extension_zips import FLAVOURS
from building.process import Stop

REPOSITORY = Path(__file__).resolve().parents[3]
OLDER, NEWER = FLAVOURS
pytestmark = pytest.mark.usefixtures("wheels")


def copied(repository: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The extension and the protocol of another repository, as small as they can be."""
    addon, protocol = repository / "blender_addon", repository / "shared_protocol"
    for folder in (addon, protocol):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
    (addon / "catalog.json").write_text("{}")
    (addon / "blender_manifest.toml").write_bytes((extension_zips.ADDON / "blender_manifest.toml").read_bytes())
    monkeypatch.setattr(extension_zips, "ADDON", addon)
    monkeypatch.setattr(extension_zips, "PROTOCOL", protocol)
    return addon, protocol


def test_two_zips_are_built_for_all_blenders_from_4_5_on(tmp_path: Path) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    built = extension_zips.build(tmp_path / "dist")
    assert [path.name for path in built] == [
        f"splatwright-{version}-blender4.5.zip",
        f"splatwright-{version}-blender5.1.zip",
    ]
    older, newer = (tomllib.loads(zipfile.ZipFile(path).read("blender_manifest.toml").decode()) for path in built)
    assert older["version"] == newer["version"] == version
    assert (older["blender_version_min"], older["blender_version_max"]) == ("4.5.0", "5.1.0")
    assert newer["blender_version_min"] == "5.1.0" and "blender_version_max" not in newer
    assert older["permissions"] == newer["permissions"] and set(older["permissions"]) == {"network", "files"}
    assert {"linux-x64", "windows-x64", "macos-arm64"} <= set(older["platforms"]) & set(newer["platforms"])
    for path, manifest in zip(built, (older, newer), strict=True):
        held = {name for name in zipfile.ZipFile(path).namelist() if name.startswith("wheels/")}
        assert {wheel.removeprefix("./") for wheel in manifest["wheels"]} == held


def test_a_zip_holds_the_protocol_as_it_is_and_no_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addon, protocol = copied(tmp_path / "repository", monkeypatch)
    (protocol / "messages.py").write_text("A = 1\n")
    (addon / "core" / "__pycache__").mkdir(parents=True)
    (addon / "core" / "__pycache__" / "state.cpython-311.pyc").write_text("")
    (addon / "core" / "state.py").write_text("")
    (addon / "pyright-blender-5.2.json").write_text("{}")
    (addon / ".state.py.swp").write_text("")
    for path in extension_zips.build(tmp_path / "dist"):
        archive = zipfile.ZipFile(path)
        ours = {name for name in archive.namelist() if not name.startswith("wheels/")}
        assert ours == {
            "LICENSE",
            "__init__.py",
            f"backend_package/splatwright-{extension_zips.version()}-py3-none-any.whl",
            "blender_manifest.toml",
            "catalog.json",
            "core/state.py",
            "shared_protocol/__init__.py",
            "shared_protocol/messages.py",
        }
        assert archive.read("shared_protocol/messages.py") == b"A = 1\n"


def test_the_same_files_make_the_same_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addon, _ = copied(tmp_path / "repository", monkeypatch)
    once = [path.read_bytes() for path in extension_zips.build(tmp_path / "once")]
    (addon / "__init__.py").touch()
    (addon / "catalog.json").chmod(0o600)
    assert [path.read_bytes() for path in extension_zips.build(tmp_path / "again")] == once


def test_a_platform_without_its_wheel_is_named(tmp_path: Path, wheels: dict[str, list[str]]) -> None:
    wheels[NEWER.name].remove("msgspec-0.22.0-cp314-cp314-win_amd64.whl")
    with pytest.raises(Stop, match=r"msgspec for Python 3\.14 on windows-x64 is missing\."):
        extension_zips.build(tmp_path / "dist")


@pytest.mark.parametrize("name", ["tests/test_a.py", "backend/cloud.py", "core/a.pyc"])
def test_what_does_not_belong_in_a_zip_is_named(name: str) -> None:
    names = set(extension_zips.contents(OLDER))
    assert extension_zips.flaws(OLDER, names) == []
    assert extension_zips.flaws(OLDER, {*names, name}) == [f"{name} does not belong in it"]
    assert extension_zips.flaws(OLDER, names - {"catalog.json"}) == ["catalog.json is missing"]


def test_zips_of_an_older_version_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / "splatwright-0.0.1-blender4.5.zip").write_text("")
    (tmp_path / "mine.zip").write_text("")
    built = extension_zips.build(tmp_path)
    assert set(tmp_path.glob("*.zip")) == {*built, tmp_path / "mine.zip"}


def test_every_wheel_that_was_downloaded_has_its_hash_in_the_pins() -> None:
    downloaded = sorted((REPOSITORY / ".blender" / "wheels").glob("blender*/*.whl"))
    if not downloaded:
        pytest.skip("no wheels are here yet: python3 build.py extension downloads them")
    pinned = set(re.findall(r"sha256:([0-9a-f]{64})", extension_zips.PINS.read_text()))
    assert {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in downloaded} <= pinned
