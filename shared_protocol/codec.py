"""Turns messages into frames and back; arrays are frames of their own and are not copied. Knows no socket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
import numpy as np

from .messages import CHUNK_BYTES, AddonToBackend, BackendToAddon
from .things import Array, Message

ARRAY_TYPES = {
    name: np.dtype(name)
    for name in ("bool", "uint8", "uint16", "uint32", "int32", "int64", "float16", "float32", "float64")
}
REQUEST_FRAMES = 64  # that hold arrays
REQUEST_BYTES = 256 * 2**20
ANSWER_FRAMES = 16
ANSWER_BYTES = 16 * 2**30
_LARGEST_ID = 2**53

Buffer = bytes | memoryview
Read = TypeVar("Read")
MessageId = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_ID)]


class UnreadableError(Exception):
    """The frames hold no message. id: of the message, as far as it could be read, else 0."""

    def __init__(self, reason: str, id: int) -> None:
        super().__init__(reason)
        self.id = id


class _ArrayPlace(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    first: Annotated[int, msgspec.Meta(ge=1, le=ANSWER_FRAMES + REQUEST_FRAMES)]
    frames: Annotated[int, msgspec.Meta(ge=1, le=ANSWER_FRAMES + REQUEST_FRAMES)]
    dtype: str
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=2**40)], ...], msgspec.Meta(max_length=4)]


class _Head(msgspec.Struct, array_like=True, frozen=True):
    id: MessageId
    message: msgspec.Raw


class Codec(Generic[Read]):
    """Packs any message, unpacks those of one direction. For one thread."""

    def __init__(self, read: Any, *, most_frames: int, most_bytes: int, cut: int | None) -> None:
        """read: the union of messages that are unpacked. cut: the most bytes in a frame of a packed array."""
        self._most_frames, self._most_bytes, self._cut = most_frames, most_bytes, cut
        self._decoder = msgspec.msgpack.Decoder(tuple[MessageId, read], dec_hook=self._array)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._place)
        self._frames: Sequence[Buffer] = ()
        self._used: set[int] = set()
        self._packed: list[Buffer] = []

    def pack(self, id: int, message: Message) -> list[Buffer]:
        """The frames; arrays in them are views, so they must not change until the frames are sent."""
        self._packed = []
        body = self._encoder.encode((id, message))
        return [body, *self._packed]

    def unpack(self, frames: Sequence[Buffer]) -> tuple[int, Read]:
        """Id and message; arrays in it are views of the frames. Raises UnreadableError, and nothing else."""
        if not frames:
            raise UnreadableError("there is no frame", 0)
        self._frames, self._used = frames, set()
        try:
            if len(frames) - 1 > self._most_frames or sum(map(len, frames)) > self._most_bytes:
                raise ValueError("too many frames or bytes")
            id, message = self._decoder.decode(frames[0])
            if len(self._used) != len(frames) - 1:
                raise ValueError("there are frames that belong to no array")
            return id, message
        # Nesting that is too deep is a RecursionError; text that is no UTF-8 a ValueError.
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise UnreadableError(str(error)[:300], _id_of(frames[0])) from error
        finally:
            self._frames, self._used = (), set()

    def _place(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} cannot be sent")
        array = cast(Array, value)
        if array.dtype.name not in ARRAY_TYPES:
            raise TypeError(f"arrays of {array.dtype} cannot be sent")
        raw = np.ascontiguousarray(array, ARRAY_TYPES[array.dtype.name]).reshape(-1).view(np.uint8).data
        size = max(self._cut or len(raw), 1)
        parts = [raw[start : start + size] for start in range(0, len(raw), size)] or [raw]
        first = len(self._packed) + 1
        self._packed += parts
        return (first, len(parts), array.dtype.name, array.shape)

    def _array(self, _type: type, value: Any) -> Array:
        place = msgspec.convert(value, _ArrayPlace)
        numbers = range(place.first, place.first + place.frames)
        if numbers[-1] >= len(self._frames) or not self._used.isdisjoint(numbers):
            raise ValueError("an array's frames are missing, or belong to another array")
        if place.dtype not in ARRAY_TYPES:
            raise ValueError("arrays of that type are not sent")
        dtype = ARRAY_TYPES[place.dtype]
        parts = [self._frames[number] for number in numbers]
        if math.prod(place.shape) * dtype.itemsize != sum(map(len, parts)):
            raise ValueError("an array's frames do not have the size that its shape and type ask for")
        self._used.update(numbers)
        raw = np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), np.uint8)
        if dtype == np.bool_:
            return (raw != 0).reshape(place.shape)
        array = raw.view(dtype) if raw.ctypes.data % dtype.alignment == 0 else raw.copy().view(dtype)
        return array.reshape(place.shape)


def backend_codec() -> Codec[AddonToBackend]:
    """For the backend: reads requests."""
    return Codec(AddonToBackend, most_frames=REQUEST_FRAMES, most_bytes=REQUEST_BYTES, cut=None)


def client_codec() -> Codec[BackendToAddon]:
    """For the client: reads answers, frames and events."""
    return Codec(BackendToAddon, most_frames=ANSWER_FRAMES, most_bytes=ANSWER_BYTES, cut=CHUNK_BYTES)


def _id_of(body: Buffer) -> int:
    try:
        return msgspec.msgpack.decode(body, type=_Head).id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0
