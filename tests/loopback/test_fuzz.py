"""A short run of the fuzzer, and what it once found; `build.py fuzz` runs it long."""

from __future__ import annotations

import typing
from pathlib import Path

import numpy as np
import pytest
import zmq

from backend.server import incoming_captures
from backend.server.allowed_folders import AllowedFolders
from shared_protocol import codec
from shared_protocol.client import connect_to
from shared_protocol.connection import PLAIN_USER
from shared_protocol.messages import AddonToBackend, BackendToAddon

from .conftest import TOKEN, Serving
from .fuzzing import SEEDS, Fuzzer, say_many
from .sayings import Saying

ANSWERS = {kind.__name__ for kind in typing.get_args(BackendToAddon)}
EVERY_REQUEST = {kind.__name__ for kind in typing.get_args(AddonToBackend)}


def test_every_request_is_a_seed() -> None:
    assert {type(seed).__name__ for seed in SEEDS} == EVERY_REQUEST


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_is_said_does_harm(tmp_path: Path, seed: int) -> None:
    fuzzer = Fuzzer(tmp_path / "fuzz", seed)
    fuzzer.run(2000)
    assert set(fuzzer.sent) == EVERY_REQUEST
    assert fuzzer.answered["refused"] > 300, "much must be wrong"
    assert len(set(fuzzer.answered) & ANSWERS) > 15, "and much must be right, so that it gets inside"
    assert fuzzer.slowest_s < 5


class _HoldsEverything(dict[str, np.dtype]):
    def __contains__(self, key: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("where", "name", "planted", "finding"),
    [
        (codec, "ARRAY_TYPES", _HoldsEverything(codec.ARRAY_TYPES), KeyError()),
        (incoming_captures, "complaint_about", lambda _path: None, AssertionError("outside")),
        (AllowedFolders, "_holds", lambda _self, _path: True, AssertionError("outside")),
    ],
    ids=["array types", "capture paths", "folders"],
)
def test_the_fuzzer_finds_a_check_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, planted: object, finding: Exception
) -> None:
    monkeypatch.setattr(where, name, planted)
    with pytest.raises(type(finding)) as raised:
        Fuzzer(tmp_path / "fuzz", seed=1).run(20_000)
    assert str(finding) in str(raised.value)


def test_over_real_sockets_too(serving: Serving, tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path / "fuzz", seed=3)
    context = zmq.Context()
    wires = []
    for endpoint in (serving.target.control, serving.target.bulk):
        wire = context.socket(zmq.DEALER)
        wire.plain_username, wire.plain_password = PLAIN_USER.encode(), TOKEN.encode()
        wire.connect(endpoint)
        wires.append(wire)

    def say(saying: Saying) -> None:
        wire = wires[saying.lane == "bulk"]
        wire.send_multipart(saying.frames or [b""])
        while wire.poll(0):
            wire.recv_multipart()

    say_many(fuzzer.sayings, say, examples=600, seed=3)
    context.destroy(linger=500)
    with connect_to(lambda: serving.target, timeout_s=15) as backend:
        assert backend.methods() and serving.is_well
