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
from shared_protocol.messages import AddonToBackend

from .conftest import TOKEN, Serving
from .fuzzing import SEEDS, Fuzzer


def test_every_request_is_a_seed() -> None:
    assert {type(seed) for seed in SEEDS} == set(typing.get_args(AddonToBackend))


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_is_said_does_harm(tmp_path: Path, seed: int) -> None:
    fuzzer = Fuzzer(tmp_path, seed)
    fuzzer.run(3000)
    assert fuzzer.findings == []
    assert fuzzer.slowest_s < 1
    assert len(fuzzer.sent) == len({type(seed) for seed in SEEDS})
    assert fuzzer.answered["refused"] > 500 and fuzzer.answered["JobAccepted"] > 5, "it must also get inside"


class _HoldsEverything(dict[str, np.dtype]):
    def __contains__(self, key: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("where", "name", "planted"),
    [
        (codec, "ARRAY_TYPES", _HoldsEverything(codec.ARRAY_TYPES)),
        (incoming_captures, "complaint_about", lambda _path: None),
        (AllowedFolders, "_holds", lambda _self, _path: True),
    ],
    ids=["array types", "capture paths", "folders"],
)
def test_the_fuzzer_finds_a_check_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, planted: object
) -> None:
    monkeypatch.setattr(where, name, planted)
    fuzzer = Fuzzer(tmp_path, seed=1)
    fuzzer.run(4000)
    assert fuzzer.findings


def test_over_real_sockets_too(serving: Serving, tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path / "fuzz", seed=3)
    context = zmq.Context()
    wires = []
    for endpoint in (serving.target.control, serving.target.bulk):
        wire = context.socket(zmq.DEALER)
        wire.plain_username, wire.plain_password = PLAIN_USER.encode(), TOKEN.encode()
        wire.connect(endpoint)
        wires.append(wire)
    for number in range(600):
        frames = fuzzer.bent(number % len(SEEDS)) or [b""]
        wires[number % 2].send_multipart(frames)
        while wires[number % 2].poll(0):
            wires[number % 2].recv_multipart()
    context.destroy(linger=500)
    with connect_to(lambda: serving.target, timeout_s=15) as backend:
        assert backend.methods() and serving.is_well
