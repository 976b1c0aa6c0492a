"""The true picture of splats in front of a plane, by the backend's brute force: run where the backend is installed.

SPLATS.ply PLANE_AND_CAMERA.json OUTPUT.npy; the picture is [H, W, 4] float64, premultiplied.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from backend.splats.io import read_splats
from backend.splats.raster import brute_force


def main(splats: Path, asked: Path, output: Path) -> None:
    cloud, wanted = read_splats(splats).cloud, json.loads(asked.read_text(encoding="utf-8"))
    camera, plane = wanted["camera"], np.array(wanted["plane"])  # plane: a, b, c, d of ax + by + cz + d = 0, world
    pose = np.reshape(camera["camera_from_world"], (4, 4))
    width, height = camera["width"], camera["height"]
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    rays = [(columns - camera["cx"]) / camera["fx"], (rows - camera["cy"]) / camera["fy"]]
    a, b, c, d = plane @ np.linalg.inv(pose)  # the same plane in the camera's axes
    across = a * rays[0] + b * rays[1]
    depth = -(across + d) / c if camera["orthographic"] else -d / (across + c)
    depth[depth < 0] = np.inf
    intrinsics = [[camera["fx"], 0, camera["cx"]], [0, camera["fy"], camera["cy"]], [0, 0, 1]]
    color, alpha, _ = brute_force.rasterization(
        torch.tensor(cloud.means),
        torch.tensor(cloud.quats),
        torch.tensor(cloud.log_scales).exp(),
        torch.tensor(cloud.opacity_logits).sigmoid(),
        torch.tensor(cloud.sh),
        torch.tensor(pose)[None],
        torch.tensor(intrinsics)[None],
        width,
        height,
        sh_degree=0,
        near_plane=camera["near"],
        camera_model="ortho" if camera["orthographic"] else "pinhole",
        surface_depths=torch.tensor(depth)[None],
    )
    np.save(output, torch.cat([color[0], alpha[0]], -1).numpy())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
