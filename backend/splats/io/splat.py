"""Reads and writes .splat files: 32 bytes a splat without a header, no view-dependent colours.

Source: convert.py of https://github.com/antimatter15/splat (MIT). A rotation's component c is the byte 128 c + 128;
readers that take 127.5 for its zero turn splats by up to a degree.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.activations import logits_of_bytes, opacities_of, unit_quats
from backend.splats.io.atomic import atomic_file
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.sh_basis import C0

_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("turn", "u1", 4)])


def read(path: Path) -> SplatContent:
    """Raises UserError when the file is no whole number of records."""
    path = Path(path)
    size = path.stat().st_size
    if size == 0 or size % _RECORD.itemsize:
        raise damaged(path, f"its {size:,} bytes are no whole number of splats of {_RECORD.itemsize} bytes")
    records = np.fromfile(path, _RECORD)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(records["scale"])
    cloud = SplatCloud(
        np.ascontiguousarray(records["mean"]),
        (records["turn"].astype(np.float32) - 128) / 128,
        log_scales,
        logits_of_bytes(records["color"][:, 3]),
        ((records["color"][:, None, :3] / np.float32(255) - np.float32(0.5)) / np.float32(C0)).astype(np.float32),
    )
    return SplatContent(cloud)


def write(path: Path, content: SplatContent) -> None:
    """Writes the splats, the largest and most opaque first as viewers like it, whole or not at all."""
    cloud = content.cloud
    opacities = opacities_of(cloud.opacity_logits)
    # By logarithms, because the volume of a large splat is beyond a float.
    order = np.argsort(-(cloud.log_scales.sum(axis=1) + np.log(np.maximum(opacities, 1e-9))), kind="stable")
    records = np.empty(len(cloud), _RECORD)
    records["mean"] = cloud.means[order]
    with np.errstate(over="ignore"):
        records["scale"] = np.minimum(np.exp(cloud.log_scales[order]), np.finfo(np.float32).max)
    records["color"][:, :3] = np.rint((cloud.sh[order, 0] * C0 + 0.5).clip(0, 1) * 255)
    records["color"][:, 3] = np.rint(opacities[order] * 255)
    records["turn"] = np.rint(unit_quats(cloud.quats[order]) * 128 + 128).clip(0, 255)
    with atomic_file(path) as stream:
        stream.write(records.view(np.uint8).data)


FORMAT = Format(
    name="splat",
    label="antimatter15 splat",
    suffixes=(".splat",),
    frame="opencv",
    sh_degree=0,
    recognises=lambda head, path: path.name.lower().endswith(".splat"),
    read=read,
    write=write,
)
