"""All formats of splat files: which one a file is of, reading any of them, writing by name."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io import compressed_ply, csv_file, gltf, ksplat, ply, point_ply, sog, splat, spz, usd
from backend.splats.io.content import SplatContent, cleaned, damaged, turned, with_sh_degree
from backend.splats.io.file_format import HEAD_BYTES, Format
from backend.splats.io.frames import Frame
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)

# A file is of the first format that recognises it; those without a mark of their own stand last.
FORMATS: tuple[Format, ...] = (
    compressed_ply.FORMAT,
    point_ply.FORMAT,
    ply.FORMAT,
    spz.FORMAT,
    sog.FORMAT,
    gltf.FORMAT,
    usd.FORMAT,
    splat.FORMAT,
    ksplat.FORMAT,
    csv_file.FORMAT,
)

# The usual one first.
READABLE = tuple(dict.fromkeys((".ply", *(suffix for form in FORMATS if form.can_read for suffix in form.suffixes))))
WRITABLE = tuple(dict.fromkeys((".ply", *(suffix for form in FORMATS if form.can_write for suffix in form.suffixes))))


class SplatFile(msgspec.Struct, frozen=True):
    """What a splat file holds."""

    path: str
    format: str
    count: int
    sh_degree: int
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None  # lowest and highest corner; None when empty
    bytes: int
    frame: str
    antialiased: bool | None  # None = the file is silent
    extra: tuple[str, ...]  # names of further numbers that each splat has
    notes: tuple[str, ...]  # a sentence each: what was left out, or assumed


def sniff_format(path: Path) -> Format:
    """The format of a splat file, by its content. Raises UserError when the file cannot be read or is of none."""
    path = Path(path)
    if not path.exists():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    if not path.is_file():
        raise UserError("bad_input", f"'{path}' is not a file.", "Give the path of a splat file such as scene.ply.")
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        for form in FORMATS:
            if form.recognises(head, path):
                return form
    except OSError as error:
        raise UserError("bad_input", f"'{path}' could not be read: {error.strerror or error}.") from error
    names = ", ".join(form.name for form in FORMATS if form.can_read)
    raise UserError("unsupported", f"'{path}' is not a splat file of a known format.", f"Readable formats: {names}.")


def read_splats(path: Path, frame: Frame | None = None) -> SplatContent:
    """What a splat file holds, without broken splats.

    frame: that the numbers really are in, where the user knows better than the file; None = as the file says.
    Raises UserError when the file is missing, damaged or of a format that cannot be read.
    """
    path = Path(path)
    form = sniff_format(path)
    if form.read is None:
        raise UserError("unsupported", f"'{path}' is a {form.label} file, which can only be written.")
    try:
        with np.errstate(all="ignore"):  # numbers that are none are left out, and said, when all are there
            content = cleaned(form.read(path))
    except MemoryError as error:
        raise damaged(path, "it claims to hold more than fits into memory") from error
    except OSError as error:
        raise UserError("bad_input", f"'{path}' could not be read: {error.strerror or error}.") from error
    return content if frame is None else replace(content, frame=frame)


def write_splats(path: Path, content: SplatContent, frame: Frame | None = None, sh_degree: int | None = None) -> None:
    """Writes a splat file, whole or not at all, in the format that its name ends with.

    frame: that the written numbers are in; None = the one that readers of the format expect.
    sh_degree: the highest to be written; None = as many as there are. Formats that hold fewer get fewer.
    Raises UserError when the format cannot be written, or the file cannot.
    """
    form = format_by_name(path)
    assert form.write is not None
    degree = min(content.cloud.sh_degree if sh_degree is None else sh_degree, form.sh_degree)
    content = with_sh_degree(content, min(degree, content.cloud.sh_degree))
    form.write(Path(path), turned(content, frame or form.frame))


def read_and_warn(path: Path) -> SplatContent:
    """The same; the notes go to the log, too."""
    content = read_splats(path)
    for note in content.notes:
        log.warning("'%s': %s", path, note)
    return content


def read_cloud(path: Path) -> SplatCloud:
    """Only the splats of a file, in the file's frame; the notes go to the log. Raises UserError as `read_splats`."""
    return read_and_warn(path).cloud


def write_cloud(path: Path, cloud: SplatCloud) -> None:
    """Writes a cloud in the frame of trained splats, OpenCV's. Raises UserError as `write_splats`."""
    write_splats(path, SplatContent(cloud))


def format_by_name(path: Path) -> Format:
    """The format that a file of this name is written in. Raises UserError when there is none."""
    name = Path(path).name.lower()
    fitting = [
        (len(suffix), form)
        for form in FORMATS
        if form.can_write
        for suffix in form.suffixes
        if name.endswith(suffix) or (name == suffix[1:] and "." in name)
    ]
    if not fitting:
        message = f"'{path}' ends with no suffix of a format that can be written."
        raise UserError("unsupported", message, f"Give a name such as scene.ply. Suffixes: {', '.join(WRITABLE)}.")
    return max(fitting, key=lambda pair: pair[0])[1]


def refuse_unwritable_name(path: Path) -> None:
    """Raises UserError when the file's name ends with no format that can be written."""
    format_by_name(path)


def describe_file(path: Path) -> SplatFile:
    """What `splatwright info` shows. Raises UserError like `read_splats`."""
    content = read_splats(path)
    cloud = content.cloud
    bounds = None
    if len(cloud):
        low, high = cloud.bounds
        bounds = (tuple(map(float, low)), tuple(map(float, high)))
    return SplatFile(
        str(path),
        sniff_format(path).name,
        len(cloud),
        cloud.sh_degree,
        bounds,
        Path(path).stat().st_size,
        content.frame,
        content.antialiased,
        tuple(content.extra),
        content.notes,
    )
