"""Reads .ksplat files: sections of splats whose positions are given from the centres of buckets in space.

Source: SplatBuffer.js of https://github.com/mkkellogg/GaussianSplats3D (MIT), versions 0.1 and later of the format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.activations import logits_of_bytes
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.joined import joined
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError

_FILE_HEAD, _SECTION_HEAD = 4096, 1024  # bytes
_FILE = struct.Struct("<BBxxIIIIHxx3fff")
_SECTION = struct.Struct("<IIIIfHxxIxxxxIIH")
_SH_DEGREES = {0: 0, 9: 1, 24: 2}
_FULL, _HALF = np.dtype("<f4"), np.dtype("<f2")
_DEFAULT_SH_RANGE = 1.5
_STEPS = 32767  # either way from a bucket's centre, where the file is silent


@dataclass(frozen=True)
class _Level:
    """How numbers are kept at a level of compression."""

    position: np.dtype
    number: np.dtype
    harmonic: np.dtype

    def record(self, sh_degree: int) -> np.dtype:
        harmonics = 3 * ((sh_degree + 1) ** 2 - 1)
        fields = [("mean", self.position, 3), ("scale", self.number, 3), ("turn", self.number, 4), ("color", "u1", 4)]
        return np.dtype([*fields, ("sh", self.harmonic, (harmonics,))])


_LEVELS = (
    _Level(_FULL, _FULL, _FULL),
    _Level(np.dtype("<u2"), _HALF, _HALF),
    _Level(np.dtype("<u2"), _HALF, np.dtype("u1")),
)


@dataclass(frozen=True)
class _Section:
    """capacity: of splats, for which there is room in the file; count: of those that are there."""

    count: int
    capacity: int
    bucket_size: int
    buckets: int
    block: float
    bucket_bytes: int
    steps: int
    full_buckets: int
    partial_buckets: int
    sh_degree: int


def read(path: Path) -> SplatContent:
    """Levels of compression 0 to 2, SH degree 0 to 2. Raises UserError when the file is damaged."""
    path = Path(path)
    content = path.read_bytes()
    if len(content) < _FILE_HEAD:
        raise damaged(path, f"it ends within the {_FILE_HEAD:,} bytes of its header")
    major, minor, section_room, _, _, count, level, *_, sh_low, sh_high = _FILE.unpack_from(content)
    if major != 0 or minor < 1:
        message = f"'{path}' is a ksplat file of version {major}.{minor}, which cannot be read."
        raise UserError("unsupported", message, "Versions from 0.1 can be read.")
    if level >= len(_LEVELS):
        raise damaged(path, f"there is no level of compression {level}")
    place = _FILE_HEAD + section_room * _SECTION_HEAD
    if place > len(content):
        raise damaged(path, f"it ends before its {section_room:,} sections begin")
    sections = [_section(path, content, index) for index in range(section_room)]
    if sum(section.count for section in sections) != count:
        raise damaged(path, f"its sections do not hold the {count:,} splats that it names")
    span = (sh_low or -_DEFAULT_SH_RANGE, sh_high or _DEFAULT_SH_RANGE)
    parts: list[SplatCloud] = []
    for section in sections:
        part, place = _read_section(path, content, place, section, level, span)
        if part is not None:
            parts.append(part)
    nothing = _cloud(np.zeros(0, _LEVELS[0].record(0)), np.zeros((0, 3), np.float32), 0, 0, span)
    return SplatContent(joined(parts or [nothing]))


def _section(path: Path, content: bytes, index: int) -> _Section:
    section = _Section(*_SECTION.unpack_from(content, _FILE_HEAD + index * _SECTION_HEAD))
    if section.count > section.capacity:
        raise damaged(path, f"a section of {section.capacity:,} splats claims to hold {section.count:,}")
    if section.sh_degree not in _SH_DEGREES.values():
        raise damaged(path, f"it names the SH degree {section.sh_degree}")
    return section


def _read_section(
    path: Path, content: bytes, place: int, section: _Section, level: int, span: tuple[float, float]
) -> tuple[SplatCloud | None, int]:
    """The section's splats, None when there are none, and where the next one begins."""
    record = _LEVELS[level].record(section.sh_degree)
    sizes_end = place + 4 * section.partial_buckets
    centres_end = sizes_end + section.bucket_bytes * section.buckets
    end = centres_end + record.itemsize * section.capacity
    if end > len(content):
        raise damaged(path, "it ends before its last splat")
    if not section.count:
        return None, end
    records = np.frombuffer(content, record, section.count, centres_end)
    if level == 0:
        means = records["mean"].astype(np.float32)
    else:
        sizes = np.frombuffer(content, "<u4", section.partial_buckets, place).astype(np.int64)
        buckets = _buckets(path, section, sizes)
        if section.bucket_bytes < 12:
            raise damaged(path, "its buckets have no centres")
        centres = np.ndarray((section.buckets, 3), "<f4", content, sizes_end, (section.bucket_bytes, 4))
        steps = section.steps or _STEPS
        offsets = (records["mean"].astype(np.float32) - steps) * np.float32(section.block / 2 / steps)
        means = offsets + centres[buckets]
    return _cloud(records, means, level, section.sh_degree, span), end


def _buckets(path: Path, section: _Section, sizes: np.ndarray) -> np.ndarray:
    """The bucket of each splat [count]: full ones first, then those whose sizes are given."""
    full = min(section.full_buckets * section.bucket_size, section.count)
    within_full = np.arange(full) // max(section.bucket_size, 1)
    # No bucket holds more than the section does, so that a wrong size cannot fill the memory.
    if (sizes > section.count).any() or full + sizes.sum() < section.count:
        raise damaged(path, "its buckets do not hold its splats")
    ends = np.cumsum(sizes)
    within_partial = section.full_buckets + np.searchsorted(ends, np.arange(section.count - full), side="right")
    buckets = np.concatenate([within_full, within_partial])
    if len(buckets) and buckets.max() >= section.buckets:
        raise damaged(path, "its splats lie in buckets that are not there")
    return buckets


def _cloud(records: np.ndarray, means: np.ndarray, level: int, sh_degree: int, span: tuple[float, float]) -> SplatCloud:
    sh = np.empty((len(records), (sh_degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (records["color"][:, :3] / np.float32(255) - np.float32(0.5)) / np.float32(C0)
    rest = records["sh"].astype(np.float32)
    if level == 2:
        rest = np.float32(span[0]) + rest * np.float32((span[1] - span[0]) / 255)
    for band in range(1, sh_degree + 1):  # each band holds all of red, then green, then blue
        own = slice(band * band, (band + 1) ** 2)
        columns = slice(3 * (band * band - 1), 3 * ((band + 1) ** 2 - 1))
        sh[:, own] = rest[:, columns].reshape(len(records), 3, 2 * band + 1).transpose(0, 2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(records["scale"].astype(np.float32))
    quats = records["turn"].astype(np.float32)
    return SplatCloud(means, quats, log_scales, logits_of_bytes(records["color"][:, 3]), sh)


FORMAT = Format(
    name="ksplat",
    label="mkkellogg ksplat",
    suffixes=(".ksplat",),
    frame="opencv",
    sh_degree=2,
    recognises=lambda head, path: path.name.lower().endswith(".ksplat"),
    read=read,
)
