"""Zips are built without downloads and without setuptools: the wheels in them are only names."""

from __future__ import annotations

from pathlib import Path

import pytest

from building import backend_wheel, extension_zips
from building.extension_zips import FLAVOURS, Flavour

OLDER, NEWER = FLAVOURS
WHEEL_NAMES = {
    OLDER.name: [
        "msgspec-0.22.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
        "msgspec-0.22.0-cp311-cp311-manylinux2014_aarch64.manylinux_2_17_aarch64.manylinux_2_28_aarch64.whl",
        "msgspec-0.22.0-cp311-cp311-macosx_10_9_x86_64.whl",
        "msgspec-0.22.0-cp311-cp311-macosx_11_0_arm64.whl",
        "msgspec-0.22.0-cp311-cp311-win_amd64.whl",
        "msgspec-0.22.0-cp311-cp311-win_arm64.whl",
        "pyzmq-27.3.0-cp311-cp311-macosx_10_15_universal2.whl",
        "pyzmq-27.3.0-cp311-cp311-manylinux_2_26_aarch64.manylinux_2_28_aarch64.whl",
        "pyzmq-27.3.0-cp311-cp311-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl",
        "pyzmq-27.3.0-cp311-cp311-win_amd64.whl",
        "pyzmq-27.3.0-cp311-cp311-win_arm64.whl",
    ],
    NEWER.name: [
        *(
            f"msgspec-0.22.0-cp3{minor}-cp3{minor}-{system}.whl"
            for minor in (13, 14)
            for system in (
                "macosx_11_0_arm64",
                "manylinux2014_aarch64.manylinux_2_17_aarch64.manylinux_2_28_aarch64",
                "manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64",
                "win_amd64",
                "win_arm64",
            )
        ),
        "pyzmq-27.3.0-cp312-abi3-macosx_10_15_universal2.whl",
        "pyzmq-27.3.0-cp312-abi3-manylinux_2_26_aarch64.manylinux_2_28_aarch64.whl",
        "pyzmq-27.3.0-cp312-abi3-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl",
        "pyzmq-27.3.0-cp312-abi3-win_amd64.whl",
        "pyzmq-27.3.0-cp312-abi3-win_arm64.whl",
    ],
}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Files with the wheels' names instead of the wheels; a test may take some away before it builds."""
    names = {flavour: list(wheels) for flavour, wheels in WHEEL_NAMES.items()}

    def made(flavour: Flavour) -> list[Path]:
        folder = tmp_path / "wheels" / flavour.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in names[flavour.name]:
            (folder / name).write_bytes(name.encode())
        return [folder / name for name in names[flavour.name]]

    monkeypatch.setattr(extension_zips, "wheels_of", made)
    backend = tmp_path / "wheels" / f"splatwright-{extension_zips.version()}-py3-none-any.whl"
    backend.parent.mkdir()
    backend.write_bytes(b"the backend")
    monkeypatch.setattr(backend_wheel, "build", lambda: backend)
    return names
