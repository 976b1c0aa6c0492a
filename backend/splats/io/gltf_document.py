"""Reads glTF 2.0 files, text or binary: their nodes, and the arrays that accessors describe.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import urllib.parse
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from backend.splats.io.archive import files_beside
from backend.splats.io.content import damaged

_Index = Annotated[int, msgspec.Meta(ge=0)]
_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # chunk types
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Accessor(msgspec.Struct):
    componentType: int  # noqa: N815  these are glTF's own names
    count: _Index
    type: str
    bufferView: _Index | None = None  # noqa: N815
    byteOffset: _Index = 0  # noqa: N815
    normalized: bool = False
    sparse: dict | None = None


class BufferView(msgspec.Struct):
    buffer: _Index
    byteLength: _Index  # noqa: N815
    byteOffset: _Index = 0  # noqa: N815
    byteStride: Annotated[int, msgspec.Meta(ge=1, le=252)] | None = None  # noqa: N815
    extensions: dict | None = None


class Buffer(msgspec.Struct):
    byteLength: _Index  # noqa: N815
    uri: str | None = None


class Primitive(msgspec.Struct):
    attributes: dict[str, _Index]
    mode: int = 4
    extensions: dict[str, dict] = {}


class Mesh(msgspec.Struct):
    primitives: list[Primitive]


class Node(msgspec.Struct):
    mesh: _Index | None = None
    children: list[_Index] = []
    matrix: Annotated[list[float], msgspec.Meta(min_length=16, max_length=16)] | None = None
    translation: tuple[float, float, float] = (0, 0, 0)
    rotation: tuple[float, float, float, float] = (0, 0, 0, 1)  # x, y, z, w
    scale: tuple[float, float, float] = (1, 1, 1)

    def local_matrix(self) -> np.ndarray:
        """[4, 4], row after row."""
        if self.matrix is not None:
            return np.array(self.matrix, np.float64).reshape(4, 4).T
        x, y, z, w = np.array(self.rotation) / (math.sqrt(sum(c * c for c in self.rotation)) or 1)
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        matrix = np.eye(4)
        matrix[:3, :3] = turn * self.scale
        matrix[:3, 3] = self.translation
        return matrix


class Scene(msgspec.Struct):
    nodes: list[_Index] = []


class Description(msgspec.Struct):
    accessors: list[Accessor] = []
    bufferViews: list[BufferView] = []  # noqa: N815
    buffers: list[Buffer] = []
    meshes: list[Mesh] = []
    nodes: list[Node] = []
    scenes: list[Scene] = []
    scene: _Index = 0


class Document:
    """A glTF file and its bytes. Raises UserError naming the file wherever it contradicts itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = path.read_bytes()
        self._binary = memoryview(b"")
        text: bytes | memoryview = content
        if content.startswith(b"glTF"):
            text, self._binary = self._chunks(memoryview(content))
        try:
            self.description = msgspec.json.decode(text, type=Description)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise damaged(path, f"its description is not valid ({error})") from error
        self._buffers: dict[int, memoryview] = {}

    def placed_primitives(self) -> list[tuple[Primitive, np.ndarray]]:
        """The primitives of the scene, each with its place in the world [4, 4]."""
        about = self.description
        roots = about.scenes[about.scene].nodes if about.scene < len(about.scenes) else range(len(about.nodes))
        waiting = [(index, np.eye(4)) for index in reversed(roots)]
        seen: set[int] = set()
        found = []
        while waiting:
            index, above = waiting.pop()
            if index in seen or index >= len(about.nodes):
                raise damaged(self.path, "its nodes are no tree")
            seen.add(index)
            node = about.nodes[index]
            place = above @ node.local_matrix()
            if node.mesh is not None:
                if node.mesh >= len(about.meshes):
                    raise damaged(self.path, f"it has no mesh {node.mesh}")
                found += [(primitive, place) for primitive in about.meshes[node.mesh].primitives]
            waiting += [(child, place) for child in reversed(node.children)]
        return found

    def array(self, index: int, kind: str, count: int | None = None) -> np.ndarray:
        """The numbers of an accessor, float32 [N] or [N, width], without copying where they are that already.

        kind: SCALAR, VEC3 ... that it must be of. count: how many there must be. Normalized integers become -1..1.
        """
        about = self.description
        if index >= len(about.accessors):
            raise damaged(self.path, f"it has no accessor {index}")
        accessor = about.accessors[index]
        if accessor.type != kind or accessor.componentType not in _COMPONENTS or count not in (None, accessor.count):
            raise damaged(self.path, f"its accessor {index} holds no {kind} for each splat")
        if accessor.sparse is not None or accessor.bufferView is None:
            raise damaged(self.path, f"its accessor {index} is sparse, which splats are not", "Export it without.")
        if accessor.bufferView >= len(about.bufferViews):
            raise damaged(self.path, f"it has no buffer view {accessor.bufferView}")
        view = about.bufferViews[accessor.bufferView]
        if view.extensions:
            name = next(iter(view.extensions))
            raise damaged(self.path, f"its data is packed with {name}, which cannot be read", "Export it unpacked.")
        dtype, width = np.dtype(_COMPONENTS[accessor.componentType]), _WIDTHS[kind]
        row = dtype.itemsize * width
        stride = view.byteStride or row
        used = accessor.byteOffset + stride * (accessor.count - 1) + row if accessor.count else 0
        data = self._buffer(view.buffer)
        if stride < row or used > view.byteLength or view.byteOffset + view.byteLength > len(data):
            raise damaged(self.path, f"its accessor {index} reaches beyond its data")
        raw = np.ndarray(
            (accessor.count, width), dtype, data, view.byteOffset + accessor.byteOffset, (stride, dtype.itemsize)
        )
        values = raw.astype(np.float32, copy=False)
        if accessor.normalized and dtype.kind in "iu":
            values = np.maximum(values / np.float32(np.iinfo(dtype).max), -1)
        return values[:, 0] if kind == "SCALAR" else values

    def _chunks(self, content: memoryview) -> tuple[memoryview, memoryview]:
        """The JSON and the binary chunk of a .glb file."""
        text, binary, offset = None, memoryview(b""), 12
        while offset + 8 <= len(content):
            length, kind = struct.unpack_from("<II", content, offset)
            chunk = content[offset + 8 : offset + 8 + length]
            if len(chunk) < length:
                raise damaged(self.path, "it is shorter than it says")
            if kind == _JSON and text is None:
                text = chunk
            elif kind == _BINARY and not binary:
                binary = chunk
            offset += 8 + length
        if text is None:
            raise damaged(self.path, "it has no description")
        return text, binary

    def _buffer(self, index: int) -> memoryview:
        if index not in self._buffers:
            if index >= len(self.description.buffers):
                raise damaged(self.path, f"it has no buffer {index}")
            buffer = self.description.buffers[index]
            data = self._binary if buffer.uri is None else memoryview(self._content_of(buffer.uri))
            if len(data) < buffer.byteLength:
                raise damaged(self.path, f"its buffer {index} is shorter than it says")
            self._buffers[index] = data
        return self._buffers[index]

    def _content_of(self, uri: str) -> bytes:
        if not uri.startswith("data:"):
            return files_beside(self.path).read(urllib.parse.unquote(uri))
        head, comma, text = uri.partition(",")
        try:
            if not comma or not head.endswith(";base64"):
                raise ValueError
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise damaged(self.path, "the data inside of it is broken") from error
