"""The panel is drawn from a file before any backend runs: the file says what the backend says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from backend.methods import registry
from shared_protocol.messages import Catalog

FILE = Path(__file__).resolve().parents[2] / "blender_addon" / "catalog.json"


def test_the_extension_s_catalog_is_the_backend_s() -> None:
    written = msgspec.json.decode(FILE.read_bytes(), type=Catalog)
    assert written == registry.catalog(), "out of date: run python3 build.py catalog"


def test_a_changed_method_would_be_noticed() -> None:
    first, *others = registry.catalog().methods
    changed = msgspec.structs.replace(first, help=first.help + " Changed.")
    assert Catalog(methods=(changed, *others)) != msgspec.json.decode(FILE.read_bytes(), type=Catalog)
