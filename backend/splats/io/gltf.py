"""Reads and writes splats in glTF files (.glb, .gltf): the extension KHR_gaussian_splatting, without loss.

Source: https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_gaussian_splatting.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.activations import logits_of, opacities_of, unit_quats
from backend.splats.io.atomic import atomic_file
from backend.splats.io.content import SMALLEST_LOG_SCALE, SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.gltf_document import Document, Primitive
from backend.splats.io.joined import joined
from backend.splats.moved import moved_cloud
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError

_EXTENSION = "KHR_gaussian_splatting"
_COLOR_SPACE = "srgb_rec709_display"
_POINTS = 0  # a primitive's mode
_FLOAT, _SHORT = 5126, 5123
_VERTICES = 34962  # a buffer view's target
_MOST_BYTES = (1 << 32) - 1  # of a .glb file, whose length has 32 bits


def read(path: Path) -> SplatContent:
    """The splats of the file's scene, of all nodes together, where the nodes place them.

    Raises UserError when the file is damaged, or holds no splats.
    """
    document = Document(Path(path))
    pieces, notes = [], []
    for primitive, place in document.placed_primitives():
        if _EXTENSION in primitive.extensions:
            cloud, said = _splats(document, primitive)
            pieces.append(cloud if np.array_equal(place, np.eye(4)) else _placed(document, cloud, place))
            notes += said
    if not pieces:
        message = f"'{path}' is a glTF file without splats."
        raise UserError("bad_input", message, f"Splats in glTF files need the extension {_EXTENSION}.")
    return SplatContent(joined(pieces), FORMAT.frame, notes=tuple(dict.fromkeys(notes)))


def write(path: Path, content: SplatContent) -> None:
    """Writes a `.glb`, or a `.gltf` that holds its data as text: a third larger."""
    cloud = content.cloud
    sizes = [4 * int(np.prod(shape)) for _, shape in _shapes(cloud)]
    binary = Path(path).suffix.lower() != ".gltf"
    if binary and sum(sizes) + (1 << 20) > _MOST_BYTES:
        message = f"'{path}' cannot be written: a .glb file cannot hold more than 4 GiB."
        raise UserError("bad_input", message, "Leave out splats or SH bands, or write another format.")
    description = _description(cloud, sizes, binary)
    with atomic_file(path) as stream:
        if binary:
            text = json.dumps(description, separators=(",", ":")).encode()
            text += b" " * (-len(text) % 4)
            stream.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + sum(sizes)))
            stream.write(struct.pack("<II", len(text), 0x4E4F534A) + text)
            stream.write(struct.pack("<II", sum(sizes), 0x004E4942))
            stream.writelines(array.data for array in _arrays(cloud))
        else:
            _write_text(stream, description, cloud)


def _recognises(head: bytes, path: Path) -> bool:
    if head.startswith(b"glTF"):
        return True
    return head.lstrip()[:1] == b"{" and (_EXTENSION.encode() in head or path.suffix.lower() == ".gltf")


# ---- reading


def _splats(document: Document, primitive: Primitive) -> tuple[SplatCloud, list[str]]:
    path, attributes, extension = document.path, primitive.attributes, primitive.extensions[_EXTENSION]
    notes = []
    if extension.get("extensions") and f"{_EXTENSION}:SCALE" not in attributes:
        name = next(iter(extension["extensions"]))
        message = f"The splats in '{path}' are packed with {name}, which cannot be read."
        raise UserError("unsupported", message, "Export them unpacked.")
    if extension.get("kernel", "ellipse") != "ellipse":
        notes.append(f"The splats have the shape '{extension['kernel']}'; they are taken as ellipsoids.")
    if extension.get("colorSpace", _COLOR_SPACE) != _COLOR_SPACE:
        notes.append(f"The colours are in '{extension['colorSpace']}'; they are taken as sRGB.")

    def array(name: str, kind: str, count: int | None = None) -> np.ndarray:
        if name not in attributes:
            raise damaged(path, f"its splats have no attribute '{name}'")
        return document.array(attributes[name], kind, count)

    means = array("POSITION", "VEC3")
    n = len(means)
    quats = array(f"{_EXTENSION}:ROTATION", "VEC4", n)[:, (3, 0, 1, 2)]
    scales = array(f"{_EXTENSION}:SCALE", "VEC3", n)
    if n and (scales.min() < 0 or not scales.any()):  # which sizes cannot be, and logarithms are
        log_scales = scales.copy()
        notes.append("The sizes are logarithms, as in drafts of the extension; they are read as such.")
    else:
        with np.errstate(divide="ignore"):
            log_scales = np.maximum(np.log(scales), np.float32(SMALLEST_LOG_SCALE))
    logits = logits_of(array(f"{_EXTENSION}:OPACITY", "SCALAR", n))
    degree = max((d for d in range(4) if _coefficient(d, 0) in attributes), default=None)
    sh = np.empty((n, ((degree or 0) + 1) ** 2, 3), np.float32)
    if degree is None:
        kind = document.description.accessors[attributes["COLOR_0"]].type if "COLOR_0" in attributes else "VEC4"
        sh[:, 0] = (_srgb(array("COLOR_0", kind, n)[:, :3]) - 0.5) / C0
        notes.append("The splats have no spherical harmonics; their plain colours are taken.")
    for d in range((degree or 0) + 1 if degree is not None else 0):
        for order in range(2 * d + 1):
            sh[:, d * d + order] = array(_coefficient(d, order), "VEC3", n)
    cloud = SplatCloud(np.array(means, np.float32), np.ascontiguousarray(quats), log_scales, logits, sh)
    return cloud, notes


def _coefficient(degree: int, order: int) -> str:
    return f"{_EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"


def _placed(document: Document, cloud: SplatCloud, place: np.ndarray) -> SplatCloud:
    try:
        return moved_cloud(cloud, place)
    except UserError as error:
        raise damaged(document.path, "a node places its splats nowhere: it flattens them") from error


# ---- writing


def _shapes(cloud: SplatCloud) -> list[tuple[str, tuple[int, ...]]]:
    """The attributes in their order, and how many numbers of four bytes each takes (colours: of two, four each)."""
    n = len(cloud)
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("POSITION", (n, 3)),
        ("COLOR_0", (n, 2)),
        (f"{_EXTENSION}:ROTATION", (n, 4)),
        (f"{_EXTENSION}:SCALE", (n, 3)),
        (f"{_EXTENSION}:OPACITY", (n,)),
    ]
    return shapes + [(_coefficient(d, order), (n, 3)) for d in range(cloud.sh_degree + 1) for order in range(2 * d + 1)]


def _arrays(cloud: SplatCloud) -> Iterator[np.ndarray]:
    """What `_shapes` names, one at a time, for the memory's sake."""
    opacities = opacities_of(cloud.opacity_logits)
    yield np.ascontiguousarray(cloud.means, "<f4")
    plain = np.concatenate([_linear((C0 * cloud.sh[:, 0] + 0.5).clip(0, 1)), opacities[:, None]], axis=1)
    yield np.rint(plain * 65535).astype("<u2")
    yield np.ascontiguousarray(unit_quats(cloud.quats)[:, (1, 2, 3, 0)], "<f4")
    yield np.exp(cloud.log_scales).astype("<f4")
    yield opacities.astype("<f4")
    for coefficient in range(cloud.sh.shape[1]):
        yield np.ascontiguousarray(cloud.sh[:, coefficient], "<f4")


def _description(cloud: SplatCloud, sizes: list[int], one_buffer: bool) -> dict[str, object]:
    """The JSON of the file; its data in one buffer, or in a buffer for each attribute."""
    names = [name for name, _ in _shapes(cloud)]
    offsets = np.cumsum([0, *sizes]).tolist() if one_buffer else [0] * len(names)
    accessors = []
    for index, name in enumerate(names):
        accessor = {"bufferView": index, "componentType": _FLOAT, "count": len(cloud), "type": "VEC3"}
        if name == "POSITION" and len(cloud):
            low, high = cloud.bounds
            accessor |= {"min": low.tolist(), "max": high.tolist()}
        elif name == "COLOR_0":
            accessor |= {"componentType": _SHORT, "type": "VEC4", "normalized": True}
        elif name.endswith(":ROTATION"):
            accessor["type"] = "VEC4"
        elif name.endswith(":OPACITY"):
            accessor["type"] = "SCALAR"
        accessors.append(accessor)
    about = {
        "kernel": "ellipse",
        "colorSpace": _COLOR_SPACE,
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {
        "attributes": {name: index for index, name in enumerate(names)},
        "mode": _POINTS,
        "extensions": {_EXTENSION: about},
    }
    views = [
        {"buffer": 0 if one_buffer else index, "byteOffset": offset, "byteLength": size, "target": _VERTICES}
        for index, (offset, size) in enumerate(zip(offsets, sizes, strict=False))
    ]
    return {
        "asset": {"version": "2.0", "generator": "Splatwright"},
        "extensionsUsed": [_EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        **({"buffers": [{"byteLength": sum(sizes)}]} if one_buffer else {}),
    }


def _write_text(stream: BinaryIO, description: dict[str, object], cloud: SplatCloud) -> None:
    """The buffers come last, one for each attribute, so that only one is held as text at a time."""
    text = json.dumps(description, separators=(",", ":")).encode()
    stream.write(text[:-1] + b',"buffers":[')
    for index, array in enumerate(_arrays(cloud)):
        head = f'{{"byteLength":{array.nbytes},"uri":"data:application/octet-stream;base64,'.encode()
        stream.write(b"," * (index > 0) + head + base64.b64encode(array.data) + b'"}')
    stream.write(b"]}")


def _linear(colors: np.ndarray) -> np.ndarray:
    """sRGB 0..1 -> linear light 0..1, which plain colours in glTF are (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def _srgb(colors: np.ndarray) -> np.ndarray:
    values = colors.clip(0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


FORMAT = Format(
    name="gltf",
    label="glTF (KHR_gaussian_splatting)",
    suffixes=(".glb", ".gltf"),
    frame="y_up",
    sh_degree=3,
    recognises=_recognises,
    read=read,
    write=write,
)
