"""Reads float EXR files with several layers, uncompressed, which Blender's own Python cannot (OpenEXR file layout)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def read(path: Path) -> dict[str, np.ndarray]:
    """{"Layer.R": [H, W] float32}: every channel of a file of scan lines, of one part or of a part a layer."""
    data = path.read_bytes()
    magic, version = struct.unpack_from("<II", data)
    assert magic == 20000630 and not version & 0xA00, "scan lines"
    has_parts, at, parts = bool(version & 0x1000), 8, list[dict[str, bytes]]()
    while data[at]:
        attributes, at = _header(data, at)
        parts.append(attributes)
        if not has_parts:
            break
    at += has_parts
    pictures = dict[str, np.ndarray]()
    for attributes in parts:
        assert attributes["compression"] == b"\0", "uncompressed"
        left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
        width, height = right - left + 1, bottom - top + 1
        names = _channels(attributes)
        rows = np.empty((height, len(names), width), np.float32)
        for offset in struct.unpack_from(f"<{height}Q", data, at):
            start = offset + 4 * has_parts
            (row,) = struct.unpack_from("<i", data, start)
            rows[row - top] = np.frombuffer(data, "<f4", width * len(names), start + 8).reshape(len(names), width)
        at += 8 * height
        pictures |= {name: rows[:, number] for number, name in enumerate(names)}
    return pictures


def _header(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    attributes = dict[str, bytes]()
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        attributes[name], at = data[at + 4 : at + 4 + size], at + 4 + size
    return attributes, at + 1


def _channels(attributes: dict[str, bytes]) -> list[str]:
    """With the name of their layer, which in a file of parts is that of the part."""
    names, place, listed = list[str](), 0, attributes["channels"]
    layer = attributes["name"].decode() if "name" in attributes else ""
    while listed[place]:
        name, place = _text(listed, place)
        assert struct.unpack_from("<i", listed, place) == (2,), f"{name} is no float"
        names.append(name if not layer or name.startswith(layer) else f"{layer}.{name}")
        place += 16
    return names


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode(), end + 1
