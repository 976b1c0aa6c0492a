"""Reads and writes SOG version 2: pictures of bytes and codebooks, a fifteenth of a PLY's size.

One `.sog` file, which is a ZIP archive, or a folder with a `meta.json`. Splats are written in an order of their own,
along a curve through space.
Source: https://developer.playcanvas.com/user-manual/gaussian-splatting/formats/sog/.
"""

from __future__ import annotations

import math
import os
import secrets
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.activations import (
    from_smallest_three,
    logits_of_bytes,
    opacities_of,
    smallest_three,
    unit_quats,
)
from backend.splats.io.archive import Parts, files_beside, parts_of_archive
from backend.splats.io.atomic import atomic_file, write_bytes
from backend.splats.io.blocks import LONG, for_each_block
from backend.splats.io.bounded import refuse_bomb, refuse_unsafe_name
from backend.splats.io.byte_pictures import channels_in, picture_of
from backend.splats.io.codebooks import codebook_of, palette_of
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.sog_meta import Coded, Means, Meta, Palette, Plain, bytes_of, meta_of
from backend.splats.io.spatial_order import morton_order
from shared_protocol.errors import UserError

_META = "meta.json"
_MOST_META = 1 << 20  # bytes
_MOST_ENTRIES = 1 << 16  # of a palette, whose labels have 16 bits
_ENTRIES_A_ROW = 64
_FIRST_TAG = 252  # alpha of a rotation whose w is the largest
_ASSUMED = (
    "SOG files do not say how their axes stand; OpenCV's are assumed, as PlayCanvas' programs write them, though the"
    " specification says y up."
)


def read(path: Path) -> SplatContent:
    """Raises UserError when the file is damaged, of another version, or a picture is missing."""
    path = Path(path)
    with path.open("rb") as stream:
        bundled = stream.read(2) == b"PK"
    if bundled:
        with parts_of_archive(path) as parts:
            return _content(path, parts, parts.read(_META))
    if path.stat().st_size > _MOST_META:
        raise damaged(path, "it is too large for the description of a SOG scene")
    return _content(path, files_beside(path), path.read_bytes())


def write(path: Path, content: SplatContent) -> None:
    """Writes one `.sog` file, or a `meta.json` with its pictures beside it."""
    path = Path(path)
    made: dict[str, bytes] = {}
    meta = _described(content, made)
    if path.suffix.lower() == ".json":
        _write_folder(path, meta, made)
        return
    with atomic_file(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, picture in (*sorted(made.items()), (_META, bytes_of(meta))):
            archive.writestr(zipfile.ZipInfo(name), picture)  # whose date is always the same


def _recognises(head: bytes, path: Path) -> bool:
    if head.startswith(b"PK\x03\x04"):
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return not name.endswith((b".usd", b".usda", b".usdc"))
    return head.lstrip()[:1] == b"{" and (b'"means"' in head or b'"lodLevels"' in head or path.name == _META)


# ---- reading


def _content(path: Path, parts: Parts, description: bytes) -> SplatContent:
    meta = meta_of(path, description)
    n, palette = meta.count, meta.shN
    k = (palette.bands + 1) ** 2 if palette else 1
    names = [*meta.means.files[:2], meta.quats.files[0], meta.scales.files[0], meta.sh0.files[0]]
    names += palette.files[:2] if palette else []
    packed = {name: parts.read(name) for name in names}
    refuse_bomb(path, sum(map(len, packed.values())), 4 * n * len(names))

    cloud = SplatCloud(*(np.empty(shape, np.float32) for shape in ((n, 3), (n, 4), (n, 3), (n,), (n, k, 3))))

    def picture(name: str, count: int = n, width: int | None = None) -> np.ndarray:
        return channels_in(path, name, packed[name], count, width)

    def positions() -> None:
        lower, upper = meta.means.files[:2]
        _fill_positions(cloud.means, picture(lower), picture(upper), meta.means)

    def rotations() -> None:
        _fill_rotations(path, cloud.quats, picture(meta.quats.files[0]))

    def scales() -> None:
        _look_up(path, meta.scales.codebook, picture(meta.scales.files[0])[:, :3], cloud.log_scales)

    def colors() -> None:
        channels = picture(meta.sh0.files[0])
        _look_up(path, meta.sh0.codebook, channels[:, :3], cloud.sh[:, 0])
        cloud.opacity_logits[:] = logits_of_bytes(channels[:, 3])

    def rest() -> None:
        assert palette is not None
        width = _ENTRIES_A_ROW * (k - 1)
        centroids = picture(palette.files[0], math.ceil(palette.count / _ENTRIES_A_ROW) * width, width)
        entries = np.empty((len(centroids), 3), np.float32)
        _look_up(path, palette.codebook, centroids[:, :3], entries)
        _fill_rest(path, cloud.sh, entries.reshape(-1, k - 1, 3)[: palette.count], picture(palette.files[1]))

    if n:
        fillings = [*([rest] if palette else []), positions, rotations, scales, colors]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # libwebp works outside of Python's lock
            for filled in [pool.submit(fill) for fill in fillings]:
                filled.result()
    return SplatContent(cloud, FORMAT.frame, meta.antialias, notes=(_ASSUMED,))


def _fill_positions(means: np.ndarray, lower: np.ndarray, upper: np.ndarray, about: Means) -> None:
    """lower, upper: bytes of the steps along each axis, [n, 4]."""
    for axis, (low, high) in enumerate(zip(about.mins, about.maxs, strict=True)):
        steps = upper[:, axis].astype(np.uint16)
        steps <<= 8
        steps |= lower[:, axis]
        # Where there are many, the place of each step is worked out once.
        logs = low + (high - low) * ((np.arange(65536) if len(steps) > 65536 else steps) / 65535)
        with np.errstate(over="ignore"):
            places = (np.sign(logs) * np.expm1(np.abs(logs))).astype(np.float32)
        means[:, axis] = places.take(steps) if len(steps) > 65536 else places


def _look_up(path: Path, codebook: list[float], indices: np.ndarray, out: np.ndarray) -> None:
    if indices.max() >= len(codebook):
        raise damaged(path, f"it names the number {indices.max()} of a codebook of {len(codebook)}")
    with np.errstate(over="ignore"):
        book = np.array(codebook).astype(np.float32)

    def fill(start: int, stop: int) -> None:
        out[start:stop] = book.take(indices[start:stop], mode="clip")

    for_each_block(len(out), fill, LONG)


def _fill_rest(path: Path, sh: np.ndarray, entries: np.ndarray, halves: np.ndarray) -> None:
    """entries: [M, K - 1, 3]. halves: bytes of which of them each splat has, [n, 4]."""
    labels = halves[:, 0] + 256 * halves[:, 1].astype(np.intp)
    if labels.max() >= len(entries):
        raise damaged(path, f"a splat names the colours {labels.max()} of {len(entries)}")

    def fill(start: int, stop: int) -> None:
        np.take(entries, labels[start:stop], axis=0, out=sh[start:stop, 1:], mode="clip")

    for_each_block(len(sh), fill)


def _fill_rotations(path: Path, quats: np.ndarray, channels: np.ndarray) -> None:
    if channels[:, 3].min() < _FIRST_TAG:
        raise damaged(path, "it holds a rotation without a largest component")

    def fill(start: int, stop: int) -> None:
        own = channels[start:stop]
        three = own[:, :3].T.astype(np.float32)
        three *= np.float32(math.sqrt(2) / 255)
        three -= np.float32(math.sqrt(0.5))
        from_smallest_three(own[:, 3] - _FIRST_TAG, three, quats[start:stop].T)

    for_each_block(len(quats), fill, LONG)


# ---- writing


def _described(content: SplatContent, pictures: dict[str, bytes]) -> Meta:
    """The description; fills in the pictures that it names."""
    cloud = content.cloud
    has_rest = cloud.sh_degree > 0 and len(cloud) > 0
    order = morton_order(cloud.means)
    # One picture after the other, as packing one takes nearly as much memory as a cloud without a palette; its long
    # search goes on beside that.
    with ThreadPoolExecutor(2 if has_rest else 1) as pool:
        rest = pool.submit(_rest_described, cloud, order, pictures) if has_rest else None
        means = pool.submit(_means_described, cloud, order, pictures)
        quats = pool.submit(_quats_described, cloud, order, pictures)
        scales = pool.submit(_scales_described, cloud, order, pictures)
        colors = pool.submit(_colors_described, cloud, order, pictures)
    return Meta(
        version=2,
        count=len(cloud),
        means=means.result(),
        scales=scales.result(),
        quats=quats.result(),
        sh0=colors.result(),
        shN=None if rest is None else rest.result(),
        antialias=content.antialiased,
        asset={"generator": "Splatwright"},
    )


def _means_described(cloud: SplatCloud, order: np.ndarray, pictures: dict[str, bytes]) -> Means:
    means, about = cloud.means.take(order, axis=0), Means((0, 0, 0), (0, 0, 0), ["means_l.webp", "means_u.webp"])
    lower, upper = (np.empty(means.shape, np.uint8) for _ in range(2))
    if len(means):
        corners = _logs(np.stack([means.min(axis=0), means.max(axis=0)]))  # [2, 3]
        low, size = corners[0], np.where(corners[1] > corners[0], corners[1] - corners[0], 1)

        def fill(start: int, stop: int) -> None:
            steps = np.rint((_logs(means[start:stop]) - low) / size * 65535).astype(np.uint16)
            lower[start:stop], upper[start:stop] = steps & 255, steps >> 8

        for_each_block(len(means), fill)
        about.mins, about.maxs = _three(corners[0]), _three(corners[1])
    pictures |= zip(about.files, map(picture_of, (lower, upper)), strict=True)
    return about


def _logs(means: np.ndarray) -> np.ndarray:
    return np.sign(means) * np.log1p(np.abs(means.astype(np.float64)))


def _three(numbers: np.ndarray) -> tuple[float, float, float]:
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _quats_described(cloud: SplatCloud, order: np.ndarray, pictures: dict[str, bytes]) -> Plain:
    content = np.empty((len(order), 4), np.uint8)

    def fill(start: int, stop: int) -> None:
        largest, three = smallest_three(unit_quats(cloud.quats.take(order[start:stop], axis=0)))
        content[start:stop, :3] = np.rint((three * np.float32(math.sqrt(2)) * 0.5 + 0.5) * 255).clip(0, 255)
        content[start:stop, 3] = largest + _FIRST_TAG

    for_each_block(len(order), fill)
    pictures["quats.webp"] = picture_of(content)
    return Plain(["quats.webp"])


def _scales_described(cloud: SplatCloud, order: np.ndarray, pictures: dict[str, bytes]) -> Coded:
    codebook, indices = codebook_of(cloud.log_scales.take(order, axis=0))
    pictures["scales.webp"] = picture_of(indices)
    return Coded(codebook.tolist(), ["scales.webp"])


def _colors_described(cloud: SplatCloud, order: np.ndarray, pictures: dict[str, bytes]) -> Coded:
    codebook, indices = codebook_of(cloud.sh[:, 0].take(order, axis=0))
    opacities = np.rint(opacities_of(cloud.opacity_logits.take(order)) * 255).astype(np.uint8)
    pictures["sh0.webp"] = picture_of(np.concatenate([indices, opacities[:, None]], axis=1))
    return Coded(codebook.tolist(), ["sh0.webp"])


def _rest_described(cloud: SplatCloud, order: np.ndarray, pictures: dict[str, bytes]) -> Palette:
    n, k, _ = cloud.sh.shape
    entries, labels = palette_of(cloud.sh[:, 1:].take(order, axis=0).reshape(n, 3 * (k - 1)), _MOST_ENTRIES)
    codebook, indices = codebook_of(entries)
    pictures["shN_centroids.webp"] = picture_of(indices.reshape(-1, 3), _ENTRIES_A_ROW * (k - 1))
    pictures["shN_labels.webp"] = picture_of(np.stack([labels & 255, labels >> 8, 0 * labels], -1).astype(np.uint8))
    return Palette(len(entries), cloud.sh_degree, codebook.tolist(), ["shN_centroids.webp", "shN_labels.webp"])


def _write_folder(path: Path, meta: Meta, pictures: dict[str, bytes]) -> None:
    """The description comes last: until then what it replaces is whole, as new pictures get names of their own."""
    older = _older_pictures(path)
    mark = f".{secrets.token_hex(4)}" if path.exists() else ""
    names = {name: f"{Path(name).stem}{mark}.webp" for name in pictures}
    written: list[Path] = []
    try:
        for name, picture in pictures.items():
            written.append(path.parent / names[name])
            write_bytes(written[-1], picture)
        for part in (meta.means, meta.scales, meta.quats, meta.sh0, *([meta.shN] if meta.shN else [])):
            part.files = [names[name] for name in part.files]
        write_bytes(path, bytes_of(meta))
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    for file in older:
        file.unlink(missing_ok=True)


def _older_pictures(path: Path) -> list[Path]:
    """The pictures of the scene that is about to be replaced."""
    with suppress(OSError, UserError):
        if path.stat().st_size <= _MOST_META:
            meta = meta_of(path, path.read_bytes())
            parts = (meta.means, meta.scales, meta.quats, meta.sh0, *([meta.shN] if meta.shN else []))
            names = [name for part in parts for name in part.files if name.endswith(".webp")]
            for name in names:
                refuse_unsafe_name(path, name)
            return [path.parent / name for name in names]
    return []


FORMAT = Format(
    name="sog",
    label="SOG",
    suffixes=(".sog", ".meta.json"),
    frame="opencv",
    sh_degree=3,
    recognises=_recognises,
    read=read,
    write=write,
)
