"""Reads and writes splat files; the format of a file follows from its content, not from its name.

One module a format; `formats.py` lists them. Nothing here needs torch, numba or Blender.
"""

from __future__ import annotations

from backend.splats.io.content import SplatContent
from backend.splats.io.formats import (
    FORMATS,
    READABLE,
    WRITABLE,
    describe_file,
    format_by_name,
    read_and_warn,
    read_cloud,
    read_splats,
    refuse_unwritable_name,
    sniff_format,
    write_cloud,
    write_splats,
)

BOUND = ".safetensors"  # splats together with what they are bound to, which `jobs/splat_files.py` reads and writes
BOUND_FOLDER = ".bound"  # the same as a folder of files that other programs read, see `jobs/bound_folder.py`,
BOUND_CARD = ".bound.json"  # and the file in it that can be chosen where folders cannot

__all__ = [
    "BOUND",
    "BOUND_CARD",
    "BOUND_FOLDER",
    "FORMATS",
    "READABLE",
    "WRITABLE",
    "SplatContent",
    "describe_file",
    "format_by_name",
    "read_and_warn",
    "read_cloud",
    "read_splats",
    "refuse_unwritable_name",
    "sniff_format",
    "write_cloud",
    "write_splats",
]
