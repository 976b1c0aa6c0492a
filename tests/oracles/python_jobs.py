"""Runs a list of jobs with Python packages of others, apart from our environment: python python_jobs.py JOBS.json.

{"tool": "gsply-read" | "gsply-write" | "usd-convert", "input", "output"}: read writes a .npz of plain arrays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def run(job: dict) -> None:
    source, target = job["input"], job["output"]
    if job["tool"] == "usd-convert":
        import usd_convert_gsplat

        usd_convert_gsplat.convertPlyUSD(source, target)
        return
    import gsply

    if job["tool"] == "gsply-write":
        data = gsply.plyread(source)
        if target.endswith(".spz"):
            gsply.write_spz(target, data, version=job["version"])
        else:
            gsply.plywrite(target, data, compressed=True)
        return
    if source.endswith(".sog"):
        data = gsply.sogread(source)
    else:
        data = gsply.read_spz(source) if source.endswith(".spz") else gsply.plyread(source)
    sh = np.asarray(data.sh0)[:, None]
    if data.shN is not None and data.shN.size:
        sh = np.concatenate([sh, np.asarray(data.shN)], axis=1)
    np.savez(target, means=data.means, quats=data.quats, log_scales=data.scales, opacity_logits=data.opacities, sh=sh)


for job in json.loads(Path(sys.argv[1]).read_text()):
    run(job)
