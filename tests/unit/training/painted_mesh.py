"""Photos of a painted mesh in any pose, ray cast, so that what is learned has a truth without splats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from backend.captures.capture import Photo
from backend.splats.cameras import Camera
from backend.splats.triangle_mesh import TriangleMesh

SIDE = 48  # pixels


def icosphere(subdivisions: int = 2) -> TriangleMesh:
    """320 faces, radius 1."""
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=1.0)
    return TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def looking_at_origin(angle: float, *, height: float = 0.8, distance: float = 3.4, side: int = SIDE) -> Camera:
    """On a circle around the z axis."""
    centre = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    forward = -centre / np.linalg.norm(centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ centre
    return Camera(matrix, fx=1.2 * side, fy=1.2 * side, cx=side / 2, cy=side / 2, width=side, height=side)


def photo_of(name: str, mesh: TriangleMesh, camera: Camera, vertices: np.ndarray | None = None) -> Photo:
    """The mesh with its vertices moved, painted by where its surface is at rest; transparent around it."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)], -1)
    rays = rays.reshape(-1, 3) @ camera.camera_from_world[:3, :3]
    corners = (mesh.vertices if vertices is None else vertices).astype(np.float64)[mesh.faces]
    a, first, second = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # Moeller and Trumbore 1997, every ray with every face.
    crossed = np.cross(rays[:, None], second)  # [R, F, 3]
    scale = (crossed * first).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_a = camera.centre - a
        u = (crossed * from_a).sum(-1) / scale
        lifted = np.cross(from_a, first)
        v = (rays @ lifted.T) / scale
        distance = (second * lifted).sum(-1) / scale
    hit = (scale != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    distance = np.where(hit, distance, np.inf)
    nearest = distance.argmin(axis=1)
    ray = np.arange(len(rays))
    seen = np.isfinite(distance[ray, nearest])
    u, v = u[ray, nearest][:, None], v[ray, nearest][:, None]
    rest = mesh.corners[nearest]
    paint = _paint((1 - u - v) * rest[:, 0] + u * rest[:, 1] + v * rest[:, 2])
    rgb = np.where(seen[:, None], np.rint(255 * paint), 0).astype(np.uint8)
    shape = (camera.height, camera.width)
    return Photo(name, camera, rgb.reshape(*shape, 3), (255 * seen).astype(np.uint8).reshape(shape), None)


def write_capture(folder: Path, photos: Sequence[Photo], vertices: np.ndarray, poses: Sequence[int]) -> Path:
    """Photos as transforms.json with the poses of the mesh [P, V, 3] beside them; photo i shows poses[i]."""
    folder.mkdir(parents=True)
    frames = []
    for photo in photos:
        assert photo.alpha is not None
        Image.fromarray(np.dstack([photo.rgb, photo.alpha])).save(folder / photo.name)
        matrix = np.linalg.inv(photo.camera.camera_from_world) @ np.diag([1.0, -1.0, -1.0, 1.0])
        frames.append({"file_path": photo.name, "transform_matrix": matrix.tolist()})
    camera = photos[0].camera
    head = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy, "w": camera.width}
    (folder / "transforms.json").write_text(json.dumps({**head, "h": camera.height, "frames": frames}))
    names = np.array([photo.name for photo in photos])
    np.savez(folder / "mesh_poses.npz", vertices=vertices, photos=names, poses=np.array(poses))
    return folder


def _paint(where: np.ndarray) -> np.ndarray:
    """Colours 0..1 that differ all around, [N, 3] -> [N, 3]."""
    waves = np.sin(where @ np.array([[2.0, -1.0, 3.0], [3.0, 2.5, -1.0], [-1.5, 3.0, 2.0]]) + [0.0, 2.0, 4.0])
    return 0.5 + 0.4 * waves
