"""Hypothesis strategies for what anyone could say: requests built from their structs, and what is wrong with them."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
import numpy as np
from hypothesis import strategies as st
from msgspec import inspect

from backend.server.sessions import Lane
from shared_protocol.codec import ARRAY_TYPES, client_codec
from shared_protocol.messages import AddonToBackend
from shared_protocol.things import IDENTITY, Array, Message

SESSION = "?" * 32  # stands for the session's id, which is made anew for each conversation
KNOWN: dict[str, tuple[Any, ...]] = {  # by the field's name: what leads to something that is there
    "session": (SESSION,),
    "version": (1, "v1", ""),
    "versions": ("v1",),
    "asset": ("asset-1",),
    "job": ("job-1", "job-2"),
    "download": (hashlib.sha256(b"asset-1\nv1\nply").hexdigest()[:32],),
    "stream": ("view",),
    "pose": ("arm",),
    "count": (1, 2),
    "offset": (0,),
    "size": (10,),
    "width": (8,),
    "height": (4,),
    "file_name": ("a.ply",),
    "data": (np.frombuffer(b"x" * 10, np.uint8),),
    "surface_depth": (np.zeros((4, 8), np.float32),),
    "vertices": (np.eye(3, dtype=np.float32),),
    "faces": (np.arange(3, dtype=np.int32)[None],),
}
# No path of the real system: if a check is missing, the fuzzer must not do the harm that it warns of.
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 2**64 - 1, 0.5, math.nan, math.inf, -math.inf, 1e308, -1e-308,
    "", "a" * 300, "../outside", "a/../../outside", "../../../outside", "\0", "é\u202e", "..", ".", "con", "C:\\a",
    "object", "float32", "v1", "asset-1", "job-1", b"", b"\xff" * 40, [], {}, [[]] * 50, {"type": "Beat"}, ["x"] * 2000,
    [1, 1, "uint8", [10]], [1, 1, "float32", [4, 8]], [1, 2, "bool", [0, 2**40]],
)  # fmt: skip


@dataclass(frozen=True)
class Saying:
    name: str  # of the request that it was made from
    lane: Lane
    peer: bytes
    frames: list[bytes]


def sayings(seeds: Sequence[Message], paths: Sequence[str], digests: Sequence[str]) -> st.SearchStrategy[Saying]:
    """Any request, right or bent. seeds: right ones, whose values fit together. paths, digests: known to the server."""
    nasty = (*NASTY, *paths)
    known = {
        **KNOWN,
        "path": tuple(paths),
        "holder": tuple(paths),
        **dict.fromkeys(("sha256", "upload", "id"), digests),
    }
    packed = [(type(seed).__name__, [bytes(f) for f in client_codec().pack(7, seed)]) for seed in seeds]
    built = [
        st.tuples(st.just(kind.__name__), _Builder(known).message(inspect.type_info(kind)))
        for kind in get_args(AddonToBackend)
    ]
    right = st.one_of(st.sampled_from(packed), st.one_of(built))
    return st.builds(
        lambda named, bends, lane, peer: Saying(
            named[0], lane, peer + (b"b" if lane == "bulk" else b""), bends([*named[1]])
        ),
        right,
        bending([frames for _, frames in packed], nasty),
        st.sampled_from(("control", "control", "bulk")),
        st.sampled_from((b"f", b"f", b"f", b"stranger")),
    )


def bending(
    others: Sequence[list[bytes]], nasty: Sequence[Any]
) -> st.SearchStrategy[Callable[[list[bytes]], list[bytes]]]:
    """Makes something wrong with a message's frames (or, now and then, nothing). others: to mix in parts of."""

    def bend(numbers: random.Random, times: int) -> Callable[[list[bytes]], list[bytes]]:
        def all_bends(frames: list[bytes]) -> list[bytes]:
            for _ in range(times):
                match numbers.choice(("bytes", "frames", *["values"] * 4)):
                    case "bytes":
                        frames = _bent_bytes(frames, numbers, others)
                    case "frames":
                        frames = _bent_order(frames, numbers)
                    case _:
                        frames = _bent_values(frames, numbers, nasty)
            return frames

        return all_bends

    return st.builds(bend, st.randoms(use_true_random=False), st.sampled_from((0, 0, 1, 1, 1, 2, 4)))


class _Builder:
    """Values that a struct allows, as the plain data that travels; arrays become frames at the end."""

    def __init__(self, known: dict[str, Sequence[Any]]) -> None:
        self._known = known

    def message(self, kind: inspect.Type) -> st.SearchStrategy[list[bytes]]:
        return st.builds(_packed, self._values(kind, ""))

    def _values(self, kind: inspect.Type, name: str) -> st.SearchStrategy[Any]:
        allowed = self._allowed(kind, name)
        known = [value for value in self._known.get(name, ()) if _fits(value, kind)]
        return st.one_of(st.sampled_from(known), st.sampled_from(known), allowed) if known else allowed

    def _allowed(self, kind: inspect.Type, name: str) -> st.SearchStrategy[Any]:
        match kind:
            case inspect.StructType(fields=fields, tag=tag, tag_field=tag_field):
                values = {field.encode_name: self._values(field.type, field.name) for field in fields}
                needed = {field.encode_name: values.pop(field.encode_name) for field in fields if field.required}
                mark = {tag_field: st.just(tag)} if tag_field else {}
                return st.fixed_dictionaries({**mark, **needed}, optional=values)
            case inspect.UnionType(types=types):
                return st.one_of([self._values(each, name) for each in types])
            case inspect.VarTupleType(item_type=item, min_length=least):
                return st.lists(self._values(item, name), min_size=least or 0, max_size=max(least or 0, 3))
            case inspect.TupleType(item_types=items):
                if len(items) != len(IDENTITY):
                    return st.tuples(*(self._values(item, name) for item in items))
                # Hypothesis would spend its strength on sixteen floats.
                return st.permutations(IDENTITY) | st.just(list(IDENTITY))
            case inspect.DictType(key_type=key, value_type=value):
                return st.dictionaries(self._values(key, ""), self._values(value, ""), max_size=2)
            case inspect.CustomType():
                return st.sampled_from(_ARRAYS)
        return _simple(kind)


def _simple(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(min_size=least or 0, max_size=min(most or 12, 12))
        case inspect.IntType(ge=least, le=most, lt=below):
            return st.integers(-(2**63) if least is None else least, most or (below - 1 if below else 2**64 - 1))
        case inspect.FloatType(ge=least, le=most):
            return st.sampled_from((0.5, 1.0, 9.0)) | st.floats(least, most)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
    raise TypeError(f"no request holds a {kind} yet: say here how to make one")


_ARRAYS = [
    np.zeros(shape, dtype)
    for dtype in ("uint8", "bool", "float16", "float32", "int32", "int64")
    for shape in ((0,), (10,), (4, 8), (3, 3), (1, 3), (2, 0, 3), ())
]


def _fits(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_fits(value, each) for each in kind.types)
    wanted = {inspect.StrType: str, inspect.IntType: int, inspect.CustomType: np.ndarray}
    return isinstance(value, wanted.get(type(kind), ()))


def _packed(content: Any) -> list[bytes]:
    frames: list[bytes] = []

    def place(array: Array) -> Any:
        if array.dtype.name not in ARRAY_TYPES:
            raise TypeError(f"a {type(array).__name__} is not sent")
        frames.append(array.tobytes())
        return (len(frames), 1, array.dtype.name, array.shape)

    return [msgspec.msgpack.encode((7, content), enc_hook=place), *frames]


# ---- what is wrong


def _bent_bytes(frames: list[bytes], numbers: random.Random, others: Sequence[list[bytes]]) -> list[bytes]:
    which = numbers.randrange(len(frames)) if frames else 0
    data = bytearray(frames[which]) if frames else bytearray()
    for _ in range(numbers.choice((1, 1, 2, 8))):
        place = numbers.randrange(len(data) + 1)
        match numbers.randrange(5):
            case 0:
                data[place:place] = bytes(numbers.randrange(256) for _ in range(numbers.choice((1, 2, 9))))
            case 1:
                del data[place : place + numbers.choice((1, 2, 9))]
            case 2:
                del data[place:]
            case 3:
                other = numbers.choice(numbers.choice(others))
                data[place:] = other[numbers.randrange(len(other)) :]
            case _ if data:
                data[place % len(data)] ^= 1 << numbers.randrange(8)
    return [*frames[:which], bytes(data), *frames[which + 1 :]]


def _bent_order(frames: list[bytes], numbers: random.Random) -> list[bytes]:
    frames = list(frames)
    match numbers.randrange(4):
        case 0 if frames:
            frames.pop(numbers.randrange(len(frames)))
        case 1 if frames:
            frames.append(numbers.choice(frames))
        case 2:
            frames += [b""] * numbers.choice((1, 70))
        case _:
            numbers.shuffle(frames)
    return frames


def _bent_values(frames: list[bytes], numbers: random.Random, nasty: Sequence[Any]) -> list[bytes]:
    try:
        content = msgspec.msgpack.decode(frames[0])
    except (IndexError, msgspec.MsgspecError, ValueError, RecursionError):
        return frames
    places = list(_places(content))
    # What is deep inside is read last: bending the outermost values would hide it nearly always.
    deep = [(holder, key) for holder, key in places if holder is not content and key != "type"]
    arrays = [(holder, key) for holder, key in places if _is_array(holder)]
    if not places:
        return frames
    holder, key = numbers.choice(numbers.choice([chosen for chosen in (deep, deep, arrays, arrays, places) if chosen]))
    alike = [value for value in nasty if type(value) is type(holder[key])]
    holder[key] = numbers.choice(alike if alike and numbers.random() < 0.6 else nasty)
    try:
        return [msgspec.msgpack.encode(content), *frames[1:]]
    except (OverflowError, RecursionError, UnicodeError):
        return frames


def _is_array(content: Any) -> bool:
    return isinstance(content, list) and list(map(type, content)) == [int, int, str, list]


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested lists and maps that holds a value."""
    if isinstance(content, list | dict):
        for key in range(len(content)) if isinstance(content, list) else content:
            yield content, key
            yield from _places(content[key])
