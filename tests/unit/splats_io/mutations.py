"""Files of every format, broken in ways that files break, and what may come of reading them."""

from __future__ import annotations

import gzip
import io
import random
import re
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.splats.io import FORMATS, SplatContent, read_splats, write_splats
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import made_cloud
from tests.unit.splats_io.test_packed_formats import ksplat

_SPLATS = 24
_SLOW, _SLOW_SHARE = ".us", 0.02  # USD
_NUMBERS = (0, 1, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_TEXTS = (b"0", b"-1", b"1", b"3", b"99", b"1e400", b"-1e39", b"nan", b"65536", b"2147483648", b"99999999999999999999")
_TEXTS_OF_STRINGS = (b'"../../x.webp"', b'"/etc/passwd"', b'""', b"null", b"[]", b"{}", b"true", b'"a\\u0000b"')


@dataclass(frozen=True)
class Seed:
    """A good file. suffix: with which its format is found."""

    name: str
    suffix: str
    content: bytes


def seeds(folder: Path) -> list[Seed]:
    """Of every format that can be read, by its own writer where there is one. Made clouds only."""
    found: list[Seed] = []
    for form in FORMATS:
        for suffix in form.suffixes if form.can_read and form.can_write else ():
            for degree in sorted({0, min(1, form.sh_degree), form.sh_degree}):
                path = folder / f"seed{suffix}"
                write_splats(path, SplatContent(made_cloud(_SPLATS, degree), antialiased=degree > 0))
                found.append(Seed(f"{form.name} {suffix} {degree}", suffix, path.read_bytes()))
    found += [Seed(f"ksplat {level}", ".ksplat", ksplat(made_cloud(260, 1), level)) for level in range(3)]
    return [*found, *_ply_variants(folder)]


def _ply_variants(folder: Path) -> list[Seed]:
    import plyfile

    write_splats(folder / "plain.ply", SplatContent(made_cloud(_SPLATS, 1), extra={"label": np.arange(_SPLATS)}))
    data = plyfile.PlyData.read(str(folder / "plain.ply"))
    found = [Seed("ply with columns", ".ply", (folder / "plain.ply").read_bytes())]
    for name, text, order in (("text", True, "="), ("big", False, ">")):
        data.text, data.byte_order = text, order
        data.write(str(folder / "other.ply"))
        found.append(Seed(f"ply {name}", ".ply", (folder / "other.ply").read_bytes()))
    points = np.zeros(_SPLATS, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
    points["x"] = np.arange(_SPLATS)
    for text in (True, False):
        plyfile.PlyData([plyfile.PlyElement.describe(points, "vertex")], text=text).write(str(folder / "points.ply"))
        found.append(Seed(f"points {'text' if text else 'binary'}", ".ply", (folder / "points.ply").read_bytes()))
    return found


class FileFuzzer:
    """Reads mutated files and raises AssertionError for what may not come of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._random = random.Random(seed)
        self._folder = folder / "read"
        self.seeds = seeds(folder)
        self._folder.mkdir()
        self.read, self.refused = Counter[str](), Counter[str]()
        self.slowest_s, self.slowest = 0.0, ""

    def run(self, count: int) -> None:
        """Reads so many files, of each seed as many as of any other, but few of those that take a process each."""
        left, index = count, 0
        while left:
            seed = self.seeds[index % len(self.seeds)]
            if not seed.suffix.startswith(_SLOW) or self._random.random() < _SLOW_SHARE:
                self._one(seed)
                left -= 1
            index += 1

    def _one(self, seed: Seed) -> None:
        content = self._mutated(seed.content)
        suffix = seed.suffix if self._random.random() > 0.05 else self._random.choice(self.seeds).suffix
        path = self._folder / ("meta.json" if suffix == ".meta.json" else f"mutated{suffix}")
        path.write_bytes(content)
        started = time.perf_counter()
        try:
            check_reading(path)
            self.read[seed.name] += 1
        except UserError as error:
            assert path.name in error.message and "\n" not in str(error), f"{seed.name}: {error}"
            self.refused[seed.name] += 1
        except Exception:
            (self._folder.parent / f"finding{suffix}").write_bytes(content)
            raise
        taken = time.perf_counter() - started
        if taken > self.slowest_s:
            self.slowest_s, self.slowest = taken, seed.name
        assert [left.name for left in self._folder.iterdir()] == [path.name], "reading left something behind"
        path.unlink()

    def _mutated(self, content: bytes) -> bytes:
        """Also the inside of what is packed, which damage to the outside never reaches."""
        if content.startswith(b"\x1f\x8b") and self._random.random() < 0.7:
            return gzip.compress(self._damaged(gzip.decompress(content)), 1)
        if content.startswith(b"PK\x03\x04") and self._random.random() < 0.7:
            return self._repacked(content)
        return self._damaged(content)

    def _repacked(self, content: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        chosen = self._random.choice(list(parts))
        match self._random.randrange(6):
            case 0:
                del parts[chosen]
            case 1:
                parts[f"../{chosen}"] = parts.pop(chosen)
            case _:
                parts[chosen] = self._damaged(parts[chosen])
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", self._random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        return packed.getvalue()

    def _damaged(self, content: bytes) -> bytes:
        text = [self._number_in_text] * 2
        kinds = [self._flip, self._flip, self._cut, self._overwrite, self._number, self._drop, self._repeat, *text]
        changed = bytearray(content)
        for _ in range(self._random.choice([1, 1, 1, 2, 3])):
            if changed:
                self._random.choice(kinds)(changed)
        return bytes(changed)

    def _place(self, content: bytearray, room: int = 1) -> int:
        """Mostly near the start, where the sizes stand."""
        end = max(len(content) - room, 0)
        return self._random.randint(0, min(end, 200) if self._random.random() < 0.5 else end)

    def _flip(self, content: bytearray) -> None:
        for _ in range(self._random.choice([1, 1, 4, 30])):
            content[self._place(content)] ^= 1 << self._random.randrange(8)

    def _cut(self, content: bytearray) -> None:
        del content[self._random.randint(0, len(content)) :]

    def _overwrite(self, content: bytearray) -> None:
        place, length = self._place(content), self._random.choice([1, 4, 16, 64])
        content[place : place + length] = bytes([self._random.choice([0, 127, 255])]) * length

    def _number(self, content: bytearray) -> None:
        size = self._random.choice([1, 2, 4, 8])
        place = self._place(content, size) // size * size
        value = self._random.choice(_NUMBERS) % 256**size
        content[place : place + size] = value.to_bytes(size, "little")

    def _number_in_text(self, content: bytearray) -> None:
        found = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"]{0,60}"', bytes(content[:20_000])))
        if found:
            chosen = self._random.choice(found)
            texts = _TEXTS_OF_STRINGS if self._random.random() < 0.2 else _TEXTS
            content[chosen.start() : chosen.end()] = self._random.choice(texts)

    def _drop(self, content: bytearray) -> None:
        place = self._place(content)
        del content[place : place + self._random.choice([1, 2, 4, 100])]

    def _repeat(self, content: bytearray) -> None:
        place = self._place(content)
        part = content[place : place + self._random.choice([1, 4, 100])]
        content[place:place] = part


def check_reading(path: Path) -> SplatContent:
    """What a reader may give: finite splats, as many of everything. Raises UserError as it does."""
    content = read_splats(path)
    assert content.cloud.finite().all()
    assert content.cloud.quats.any(axis=1).all()
    assert all(column.shape == (len(content),) for column in content.extra.values())
    return content
