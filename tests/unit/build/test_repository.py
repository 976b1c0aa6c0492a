"""Blender takes the zips, and dist/repository, as `build.py extension` makes it, is one that it installs from."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from building import blender, extension_zips
from building.process import Stop

pytestmark = [
    pytest.mark.usefixtures("wheels"),
    pytest.mark.skipif(blender.extension_tool() is None, reason="no Blender is here: build.py test-blender makes one"),
]


@pytest.fixture
def zips(tmp_path: Path) -> list[Path]:
    return extension_zips.build(tmp_path / "dist")


def test_blender_finds_nothing_wrong_with_the_zips(zips: list[Path]) -> None:
    assert blender.validate(zips)


def test_what_blender_finds_wrong_is_said(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.zip"
    extension_zips.write_zip(wrong, {"blender_manifest.toml": b'schema_version = "1.0.0"', "__init__.py": b""})
    with pytest.raises(Stop, match=r"Blender refuses wrong\.zip: (?s:.*)id"):
        blender.validate([wrong])


@pytest.fixture
def address(zips: list[Path], tmp_path: Path) -> Iterator[str]:
    """The repository, offered by a web server as plain as they come."""
    folder = tmp_path / "repository"
    assert blender.make_repository(zips, folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.json"
        server.shutdown()


def test_the_list_holds_both_zips(address: str, zips: list[Path], tmp_path: Path) -> None:
    listed = json.loads((tmp_path / "repository" / "index.json").read_text())["data"]
    assert {entry["archive_url"] for entry in listed} == {f"./{path.name}" for path in zips}
    assert {entry["id"] for entry in listed} == {"splatwright"}


@pytest.mark.parametrize(("version", "python", "oldest"), [("4.5.3", "3.11.11", "4.5.0"), ("5.2.0", "3.13.5", "5.1.0")])
def test_each_blender_installs_the_zip_that_is_for_it(
    address: str, tmp_path: Path, version: str, python: str, oldest: str
) -> None:
    tool, home = blender.extension_tool(), tmp_path / "blender"
    assert tool is not None
    home.mkdir()
    place = ["--local-dir", str(home), "--remote-url", address]
    assert blender.answer([*tool, "sync", *place]).returncode == 0
    chosen = ["--blender-version", version, "--python-version", python]
    done = blender.answer([*tool, "install", *place, *chosen, "splatwright"])
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = tomllib.loads((home / "splatwright" / "blender_manifest.toml").read_text())
    assert manifest["blender_version_min"] == oldest
