from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from blender_addon import protocol

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_door_leads_to_the_modules_of_the_protocol() -> None:
    for name in protocol.__all__:
        assert getattr(protocol, name).__name__ == f"shared_protocol.{name}"


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'massages'"):
        getattr(protocol, "massages")  # noqa: B009  pyright knows that it is not there


def test_zmq_is_imported_with_the_client_only() -> None:
    others = ", ".join(name for name in protocol.__all__ if name != "client")
    code = (
        f"import sys; from blender_addon.protocol import {others}; assert 'zmq' not in sys.modules\n"
        "from blender_addon.protocol import client; assert 'zmq' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
