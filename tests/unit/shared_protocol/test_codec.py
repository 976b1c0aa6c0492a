"""Messages become frames and come back the same; whatever else arrives is refused in words."""

from __future__ import annotations

import math
import subprocess
import sys
import time
import typing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared_protocol import messages, replies, requests, selecting
from shared_protocol.codec import UnreadableError, backend_codec, client_codec
from shared_protocol.messages import CHUNK_BYTES, Beat, Picture, Render, Splats, UploadChunk
from shared_protocol.things import IDENTITY, Failed, Message, SceneObject, ViewCamera

REPOSITORY = Path(__file__).resolve().parents[3]


def splats(count: int) -> Splats:
    numbers = np.random.default_rng(0)
    shapes = {"means": (3,), "quats": (4,), "log_scales": (3,), "opacity_logits": (), "sh": (16, 3)}
    return Splats(**{name: numbers.random((count, *s), np.float32) for name, s in shapes.items()})


def render(**changes: object) -> Render:
    camera = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=8, height=4)
    return msgspec.structs.replace(Render(objects=(SceneObject(asset="a"),), camera=camera), **changes)


def body(*content: object) -> bytes:
    return msgspec.msgpack.encode(content)


def test_every_message_of_a_direction_has_a_name_of_its_own_and_can_be_read() -> None:
    for union in (messages.AddonToBackend, messages.BackendToAddon):
        kinds = typing.get_args(union)
        assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)
        assert all(kind.__struct_config__.frozen for kind in kinds)
    declared = {
        kind
        for kind in [*vars(requests).values(), *vars(selecting).values(), *vars(replies).values(), Failed]
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    }
    assert declared == {*typing.get_args(messages.AddonToBackend), *typing.get_args(messages.BackendToAddon)}


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64"])
def test_arrays_come_back_the_same(dtype: str) -> None:
    color = (np.arange(4 * 6 * 4).reshape(4, 6, 4) % 2).astype(dtype)
    _, back = client_codec().unpack([bytes(f) for f in backend_codec().pack(3, Picture(color=color))])
    assert isinstance(back, Picture) and back.depth is None
    assert back.color.dtype == color.dtype and np.array_equal(back.color, color)


def test_strided_and_empty_arrays_come_back_the_same() -> None:
    strided = np.arange(60, dtype=np.float32).reshape(3, 5, 4)[:, ::2, ::-1]
    codec = client_codec()
    for color in (strided, np.empty((0, 7, 4), np.uint8)):
        _, back = codec.unpack([bytes(f) for f in codec.pack(1, Picture(color=color))])
        assert isinstance(back, Picture) and np.array_equal(back.color, color) and back.color.shape == color.shape


def test_a_large_array_is_neither_copied_nor_slow() -> None:
    sent, codec, reader = splats(200_000), backend_codec(), client_codec()
    fastest = math.inf
    for _ in range(5):
        started = time.perf_counter()
        frames = codec.pack(1, sent)
        _, back = reader.unpack(frames)
        fastest = min(fastest, time.perf_counter() - started)
    assert isinstance(back, Splats) and np.shares_memory(back.sh, sent.sh)
    assert sum(map(len, frames)) > 47e6 and fastest < 0.005


def test_arrays_to_the_backend_are_cut_into_chunks() -> None:
    surface = np.random.default_rng(0).random((1080, 1920), np.float32)
    camera = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=1920, height=1080)
    frames = client_codec().pack(5, render(camera=camera, surface_depth=surface))
    assert len(frames) == 3 and all(len(frame) <= CHUNK_BYTES for frame in frames)
    id, back = backend_codec().unpack([bytes(frame) for frame in frames])
    assert id == 5 and isinstance(back, Render) and np.array_equal(back.surface_depth, surface)


def test_unknown_fields_are_ignored_and_new_ones_have_defaults() -> None:
    assert backend_codec().unpack([body(4, {"type": "Beat", "mood": "fine"})]) == (4, Beat())


CHUNK = {"type": "UploadChunk", "upload": "a" * 64, "offset": 0}


@pytest.mark.parametrize(
    ("frames", "id"),
    [
        ([], 0),
        ([b""], 0),
        ([b"\xc1"], 0),
        ([b"GET / HTTP/1.1\r\n\r\n"], 0),
        ([body("1", {"type": "Beat"})], 0),
        ([body(-1, {"type": "Beat"})], 0),
        ([body(7, {"type": "Nonsense"})], 7),
        ([body(7, {"type": "Welcome", "session": "x", "version": 1})], 7),  # the other direction's
        ([body(7, {"type": "GetJob"})], 7),
        ([body(7, {"type": "GetJob", "job": "x" * 200})], 7),
        ([body(7, {"type": "GetJob", "job": 5})], 7),
        ([body(7, {"type": "Beat"}), b"a frame that nothing asked for"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "uint8", [4]]})], 7),  # no frame
        ([body(7, CHUNK | {"data": [1, 1, "uint8", [4]]}), b"12345"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "uint8", [-4]]}), b"1234"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "uint8", [2**40, 2**40]]}), b"1234"], 7),
        ([body(7, CHUNK | {"data": [0, 1, "uint8", [4]]}), b"1234"], 7),  # the body itself
        ([body(7, CHUNK | {"data": [1, 1, "object", [1]]}), b"12345678"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "<f4", [1]]}), b"1234"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "uint8", [1, 1, 1, 1, 4]]}), b"1234"], 7),
        ([body(7, CHUNK | {"data": [1, 1, "uint8"]}), b"1234"], 7),
        ([body(7, CHUNK | {"data": b"1234"})], 7),
        ([body(7, CHUNK | {"upload": "../../etc/passwd", "data": [1, 1, "uint8", [4]]}), b"1234"], 7),
        ([body(7, {"type": "Beat"}), *[b""] * 100], 7),
        ([b"\x92\x07" + b"\x91" * 900_000], 0),
    ],
)
def test_what_is_no_message_is_unreadable(frames: list[bytes], id: int) -> None:
    with pytest.raises(UnreadableError) as raised:
        backend_codec().unpack(frames)
    assert raised.value.id == id and str(raised.value)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_number_that_is_none_is_unreadable(wrong: float) -> None:
    frames = client_codec().pack(2, render())
    content = msgspec.msgpack.decode(frames[0])
    content[1]["camera"]["fx"] = wrong
    with pytest.raises(UnreadableError, match="finite"):
        backend_codec().unpack([msgspec.msgpack.encode(content)])


def test_a_surface_depth_of_another_size_is_unreadable() -> None:
    good = client_codec().pack(2, render(surface_depth=np.zeros((4, 8), np.float32)))
    content = msgspec.msgpack.decode(good[0])
    content[1]["surface_depth"][3] = [8, 4]
    with pytest.raises(UnreadableError, match="surface_depth"):
        backend_codec().unpack([msgspec.msgpack.encode(content), bytes(good[1])])


def test_two_arrays_do_not_share_a_frame() -> None:
    frames = client_codec().pack(1, Picture(color=np.zeros((1, 1, 4), np.uint8), depth=np.zeros(1, np.float32)))
    content = msgspec.msgpack.decode(frames[0])
    content[1]["depth"] = content[1]["color"]
    with pytest.raises(UnreadableError):
        client_codec().unpack([msgspec.msgpack.encode(content), bytes(frames[1])])


def test_only_arrays_and_messages_can_be_packed() -> None:
    with pytest.raises(TypeError):
        client_codec().pack(1, Picture(color=np.array([object()])))
    with pytest.raises(TypeError):
        client_codec().pack(1, UploadChunk(upload="a" * 64, offset=0, data=object()))  # type: ignore[arg-type]


def test_importing_the_protocol_builds_no_codec() -> None:
    """Blender imports it at its start; the codecs are built when something is said first."""
    script = """
import msgspec
def refuse(*_types, **_options):
    raise SystemExit("a codec was built while importing")
msgspec.msgpack.Decoder = msgspec.msgpack.Encoder = msgspec.json.Decoder = msgspec.json.Encoder = refuse
import shared_protocol.client
from shared_protocol.codec import client_codec
try:
    client_codec()
except SystemExit:
    print("not before it is asked for")
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert told.stdout == "not before it is asked for\n", told.stderr
