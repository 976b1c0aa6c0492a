"""The extension and a real backend, each from where it is installed, understand each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def test_the_client_inside_the_zip_finds_the_backend(
    backend: Any, room: Callable[[str], ModuleType], installed: dict[str, Any]
) -> None:
    with room("protocol").client.connect() as remote:
        told = {method.id for method in remote.methods()}
    shown = json.loads(Path(installed["folder"], "catalog.json").read_text(encoding="utf-8"))
    assert told == {method["id"] for method in shown["methods"]}


def test_without_a_backend_it_is_said_that_there_is_none(no_backend: Any, room: Callable[[str], ModuleType]) -> None:
    protocol = room("protocol")
    with pytest.raises(protocol.errors.UserError, match="No backend is running"):
        protocol.client.connect(timeout_s=5)
