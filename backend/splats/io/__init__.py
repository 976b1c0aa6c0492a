"""Reads and writes splat files; the format of a file follows from its content, not from its name."""

from __future__ import annotations

from pathlib import Path

import msgspec

from backend.splats.cloud import SplatCloud
from backend.splats.io.ply import read_ply, write_ply
from shared_protocol.errors import UserError

READABLE = (".ply",)
WRITABLE = (".ply",)
BOUND = ".safetensors"  # splats together with what they are bound to, which `jobs/splat_files.py` reads and writes

# How the formats that splats come in begin. A `.splat` file has no such mark.
SIGNATURES = {
    b"ply": "ply",
    b"\x1f\x8b": "spz",  # gzip: versions 1-3
    b"NGSP": "spz",
    b"PK\x03\x04": "sog",
    b"glTF": "glb",
}


class SplatFile(msgspec.Struct, frozen=True):
    """What a splat file holds."""

    path: str
    format: str
    count: int
    sh_degree: int
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None  # lowest and highest corner; None when empty
    bytes: int


def sniff_format(path: Path) -> str:
    """The format of a splat file by its first bytes. Raises UserError when the file cannot be read or is of none."""
    path = Path(path)
    if not path.exists():
        raise UserError("not_found", f"There is no file '{path}'.", "Check the path.")
    if not path.is_file():
        raise UserError("bad_input", f"'{path}' is not a file.", "Give the path of a splat file such as scene.ply.")
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise UserError("bad_input", f"'{path}' could not be read: {error.strerror or error}.") from error
    for signature, name in SIGNATURES.items():
        if start.startswith(signature):
            return name
    raise UserError("unsupported", f"'{path}' is not a splat file of a known format.", "Readable formats: ply.")


def read_splats(path: Path) -> SplatCloud:
    """The splats of a file. Raises UserError when it is missing, damaged or of a format that cannot be read."""
    found = sniff_format(path)
    if found != "ply":
        raise UserError(
            "unsupported",
            f"'{path}' looks like a {found.upper()} file, and these cannot be read.",
            "Convert it to a plain PLY with the editor that wrote it.",
        )
    return read_ply(path)


def write_splats(path: Path, cloud: SplatCloud) -> None:
    """Writes the cloud, whole or not at all, in the format that the file's name ends with."""
    refuse_unwritable_name(path)
    write_ply(path, cloud)


def refuse_unwritable_name(path: Path) -> None:
    """Raises UserError when the file's name ends with no format that can be written."""
    if Path(path).suffix.lower() not in WRITABLE:
        message = f"'{path}' does not end in .ply, the one format that can be written."
        raise UserError("unsupported", message, "Give a name such as scene.ply.")


def describe_file(path: Path) -> SplatFile:
    """Counts, degree and bounds of a splat file. Raises UserError like `read_splats`."""
    found = sniff_format(path)
    cloud = read_splats(path)
    bounds = None
    if len(cloud):
        low, high = cloud.bounds
        bounds = (tuple(map(float, low)), tuple(map(float, high)))
    return SplatFile(str(path), found, len(cloud), cloud.sh_degree, bounds, Path(path).stat().st_size)
