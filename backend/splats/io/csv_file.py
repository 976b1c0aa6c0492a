"""Writes splats as comma-separated numbers, for spreadsheets and comparisons.

Columns and values are those of a 3DGS PLY, in the order of https://github.com/playcanvas/splat-transform (MIT).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.io.atomic import atomic_file
from backend.splats.io.content import SplatContent
from backend.splats.io.file_format import Format

_ROWS = 2000  # at a time, which bounds the memory


def write(path: Path, content: SplatContent) -> None:
    """Writes every number with as many digits as tell it from its neighbours, whole or not at all."""
    cloud = content.cloud
    n, k, _ = cloud.sh.shape
    names = ["x", "y", "z", "scale_0", "scale_1", "scale_2", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3", *(f"f_rest_{i}" for i in range(3 * (k - 1)))]
    extra = {name: column for name, column in content.extra.items() if not set(name) & set(',"\r\n')}
    with atomic_file(path) as stream:
        stream.write((",".join([*names, *extra]) + "\n").encode())
        for start in range(0, n, _ROWS):
            part = slice(start, start + _ROWS)
            rest = cloud.sh[part, 1:].transpose(0, 2, 1).reshape(len(cloud.means[part]), -1)  # channel after channel
            columns = (
                cloud.means[part],
                cloud.log_scales[part],
                cloud.sh[part, 0],
                cloud.opacity_logits[part, None],
                cloud.quats[part],
                rest,
            )
            table = np.concatenate(columns, axis=1).astype(str)
            more = [column[part].astype(str)[:, None] for column in extra.values()]
            lines = (",".join(row) for row in np.concatenate([table, *more], axis=1).tolist())
            stream.write(("\n".join(lines) + "\n").encode())


FORMAT = Format(
    name="csv",
    label="comma-separated numbers",
    suffixes=(".csv",),
    frame="opencv",
    sh_degree=4,
    recognises=lambda head, path: path.name.lower().endswith(".csv"),
    write=write,
)
