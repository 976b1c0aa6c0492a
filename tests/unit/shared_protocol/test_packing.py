from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from shared_protocol import packing
from shared_protocol.codec import backend_codec, client_codec
from shared_protocol.messages import Picture


def picture(dtype: str = "uint8") -> Picture:
    x, y = np.meshgrid(np.linspace(0, 1, 320), np.linspace(0, 1, 180))
    color = np.stack([x, y, x * y, np.ones_like(x)], -1)
    color = (color * 255).astype(np.uint8) if dtype == "uint8" else color.astype(dtype)
    return Picture(color=color, depth=(3 + x).astype(np.float32), step=7, seconds=0.25)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_a_packed_picture_comes_back_bit_by_bit_and_is_smaller_on_its_way(dtype: str) -> None:
    before = picture(dtype)
    frames = backend_codec().pack(3, packing.packed(before))
    plain = backend_codec().pack(3, before)
    assert sum(map(len, frames)) < 0.6 * sum(map(len, plain))
    _, message = client_codec().unpack([bytes(frame) for frame in frames])
    after = packing.unpacked(message)  # type: ignore[arg-type]
    assert np.array_equal(after.color, before.color) and after.color.dtype == before.color.dtype
    assert after.depth is not None and np.array_equal(after.depth, before.depth)  # type: ignore[arg-type]
    assert after.spread is None and (after.step, after.seconds) == (7, 0.25)


def test_a_picture_without_pixels_that_are_seen_and_without_depth() -> None:
    nothing = Picture(color=np.zeros((1, 1, 4), np.uint8))
    after = packing.unpacked(packing.packed(nothing))
    assert after.color.shape == (1, 1, 4) and after.depth is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": (180, 320, 3)}, "size"),
        ({"shape": (181, 320, 4)}, "size"),
        ({"shape": (2**20, 2**20, 4)}, "larger"),
        ({"dtype": "object"}, "no packed array"),
        ({"data": np.frombuffer(b"no zstd at all", np.uint8)}, "damaged"),
        ({"data": np.zeros(40, np.float32)}, "no packed array"),
    ],
)
def test_what_is_no_packed_picture_is_refused(changes: dict[str, object], said: str) -> None:
    packed = packing.packed(picture())
    with pytest.raises(ValueError, match=said):
        packing.unpacked(replace(packed, color=replace(packed.color, **changes)))


def test_a_small_message_cannot_fill_the_memory() -> None:
    packed = packing.packed(Picture(color=np.zeros((4000, 4000, 4), np.uint8)))
    assert packed.color.data.nbytes < 10_000
    with pytest.raises(ValueError, match="size"):
        packing.unpacked(replace(packed, color=replace(packed.color, shape=(1, 1, 4))))
