"""The hash that is worked out beside the writing is the hash, and it never runs far behind."""

from __future__ import annotations

import hashlib
import threading

import numpy as np

from shared_protocol import hashing
from shared_protocol.hashing import HashBeside


def test_it_is_the_hash_of_the_pieces_in_their_order() -> None:
    content = np.random.default_rng(0).bytes(3_000_017)
    beside = HashBeside()
    assert beside.hexdigest() == hashlib.sha256().hexdigest()
    for start in range(0, len(content), 100_003):
        beside.update(memoryview(content)[start : start + 100_003])
        if start % 700_021 == 0:
            assert beside.hexdigest() == hashlib.sha256(content[: start + 100_003]).hexdigest()
    assert beside.hexdigest() == hashlib.sha256(content).hexdigest()


def test_two_at_once_do_not_mix() -> None:
    one, other = HashBeside(), HashBeside()
    for number in range(50):
        one.update(bytes([number]) * 1000)
        other.update(bytes([255 - number]) * 1000)
    assert one.hexdigest() == hashlib.sha256(b"".join(bytes([number]) * 1000 for number in range(50))).hexdigest()
    assert other.hexdigest() != one.hexdigest()


def test_it_waits_rather_than_keep_many_pieces() -> None:
    may_hash, beside, taken = threading.Event(), HashBeside(), []
    hashing._thread.submit(may_hash.wait, 10)

    def update() -> None:
        for number in range(20):
            beside.update(b"x")
            taken.append(number)

    feeding = threading.Thread(target=update)
    feeding.start()
    feeding.join(0.2)
    assert len(taken) == hashing._MOST_WAITING
    may_hash.set()
    feeding.join(10)
    assert len(taken) == 20 and beside.hexdigest() == hashlib.sha256(b"x" * 20).hexdigest()
