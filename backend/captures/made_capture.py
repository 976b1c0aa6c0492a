"""Makes a capture out of nothing: a ray-traced scene of textured shapes, for demos and tests without sample data."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# World axes are Blender's: z is up and the floor is z = 0.
SPHERES = (  # centre, radius
    ((0.0, 0.0, 0.7), 0.7),
    ((1.7, 0.7, 0.5), 0.5),
    ((-1.5, 1.0, 0.6), 0.6),
    ((-0.9, -1.6, 0.35), 0.35),
)
BOXES = (  # lowest corner, highest corner
    ((0.8, -1.7, 0.0), (1.6, -0.9, 0.9)),
    ((-2.2, -0.8, 0.0), (-1.5, -0.1, 0.6)),
    ((0.2, 1.5, 0.0), (1.0, 2.1, 1.2)),
)
_FLOOR_RADIUS = 3.2
_SUN = np.array([0.45, -0.4, 0.8]) / np.linalg.norm([0.45, -0.4, 0.8])
_FAR = 1e9
_SAMPLES = 2  # rays a pixel, a side


@dataclass(frozen=True)
class _Hits:
    """The nearest surface along each ray."""

    distance: np.ndarray  # [R], _FAR where there is only sky
    normal: np.ndarray  # [R, 3]
    shape: np.ndarray  # [R] int, 0 = floor, then spheres, then boxes


def make_capture(
    folder: Path,
    *,
    views: int = 40,
    width: int = 240,
    height: int = 160,
    arc: float = 360.0,
    transparent: bool = False,
    points: int = 0,
) -> Path:
    """Writes images/*.png and a nerfstudio-style transforms.json into `folder` and returns it.

    arc: how far the photos go around the scene, in degrees.
    transparent: the photos have an alpha channel that is 0 where the sky would be.
    points: so many exact points on surfaces are written as points.ply and named by ply_file_path.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    focal = 0.85 * width
    frames = []
    for i in range(views):
        world_from_camera = _pose(i, views, arc)
        name = f"images/{i:04d}.png"
        _write_image(folder / name, _photo(world_from_camera, width, height, focal, transparent=transparent))
        opengl = world_from_camera @ np.diag([1.0, -1.0, -1.0, 1.0])
        frames.append({"file_path": name, "transform_matrix": opengl.tolist()})
    lens = {"w": width, "h": height, "fl_x": focal, "fl_y": focal, "cx": width / 2, "cy": height / 2}
    transforms: dict[str, object] = {"camera_model": "PINHOLE", **lens, "frames": frames}
    if points > 0:
        _write_points(folder / "points.ply", points)
        transforms["ply_file_path"] = "points.ply"
    _write(folder / "transforms.json", json.dumps(transforms, indent=1).encode())
    return folder


def _pose(i: int, views: int, arc: float = 360.0) -> np.ndarray:
    """World from camera (OpenCV axes) of photo i on two rings around the scene, [4, 4]."""
    angle = np.radians(arc) * (i + 0.26) / max(2, views)
    radius, altitude = (5.0, 1.7) if i % 2 == 0 else (4.3, 3.1)
    centre = np.array([radius * np.cos(angle), radius * np.sin(angle), altitude])
    forward = np.array([0.0, 0.0, 0.45]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :4] = np.stack([right, np.cross(forward, right), forward, centre], axis=1)
    return pose


def _photo(world_from_camera: np.ndarray, width: int, height: int, focal: float, *, transparent: bool) -> np.ndarray:
    """uint8 [H, W, 3], or [H, W, 4] with straight alpha."""
    columns = (np.arange(width * _SAMPLES) + 0.5) / _SAMPLES
    rows = (np.arange(height * _SAMPLES) + 0.5) / _SAMPLES
    u, v = np.meshgrid(columns, rows)
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], axis=-1).reshape(-1, 3)
    rays = _turned(rays, world_from_camera[:3, :3])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    hits = _trace(world_from_camera[:3, 3], rays)
    seen = hits.distance < _FAR
    color = _shade(world_from_camera[:3, 3], rays, hits)
    opaque = np.where(seen, 1.0, 0.0) if transparent else np.ones(len(rays))
    samples = np.concatenate([color * opaque[:, None], opaque[:, None]], axis=1)
    blocks = samples.reshape(height, _SAMPLES, width, _SAMPLES, 4)
    pixels = np.mean([blocks[:, i, :, j] for i in range(_SAMPLES) for j in range(_SAMPLES)], axis=0)
    if not transparent:
        return np.rint(pixels[..., :3] * 255).astype(np.uint8)
    straight = np.divide(
        pixels[..., :3], pixels[..., 3:], out=np.zeros((*pixels.shape[:2], 3)), where=pixels[..., 3:] > 0
    )
    return np.rint(np.concatenate([straight, pixels[..., 3:]], axis=-1) * 255).astype(np.uint8)


def _turned(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`vectors @ rows.T`, but on one thread: for matrices this thin BLAS's threads only wait for each other."""
    return np.einsum("ni,ki->nk", vectors, rows)


def _trace(origin: np.ndarray, rays: np.ndarray) -> _Hits:
    count = len(rays)
    hits = _Hits(np.full(count, _FAR), np.zeros((count, 3)), np.zeros(count, np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -origin[2] / rays[:, 2]
        where = origin + rays * distance[:, None]
        on_floor = (distance > 0) & (np.hypot(where[:, 0], where[:, 1]) < _FLOOR_RADIUS)
    hits.distance[on_floor], hits.normal[on_floor] = distance[on_floor], (0.0, 0.0, 1.0)

    for number, (centre, radius) in enumerate(SPHERES, start=1):
        offset = origin - np.array(centre)
        half = _turned(rays, offset[None])[:, 0]
        inside_root = half * half - (offset @ offset - radius * radius)
        distance = -half - np.sqrt(np.maximum(inside_root, 0))
        hit = (inside_root > 0) & (distance > 0) & (distance < hits.distance)
        hits.distance[hit], hits.shape[hit] = distance[hit], number
        hits.normal[hit] = (offset + rays[hit] * distance[hit, None]) / radius

    for number, (low, high) in enumerate(BOXES, start=1 + len(SPHERES)):
        middle, half_size = (np.array(low) + high) / 2 - origin, (np.array(high) - low) / 2
        near = np.flatnonzero(
            _turned(rays, middle[None])[:, 0] > np.sqrt(max(0.0, middle @ middle - half_size @ half_size))
        )
        with np.errstate(divide="ignore"):
            to_middle, reach = middle / rays[near], half_size / np.abs(rays[near])
        enter, leave = (to_middle - reach).T, (to_middle + reach).T
        axis = enter.argmax(axis=0)
        distance = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
        last = np.minimum(np.minimum(leave[0], leave[1]), leave[2])
        hit = (distance > 0) & (distance < last) & (distance < hits.distance[near])
        rows, axis = near[hit], axis[hit]
        hits.distance[rows], hits.shape[rows] = distance[hit], number
        hits.normal[rows] = -np.eye(3)[axis] * np.sign(rays[rows, axis])[:, None]
    return hits


def _shade(origin: np.ndarray, rays: np.ndarray, hits: _Hits) -> np.ndarray:
    """Colours 0..1, [R, 3]; the highlight moves with the viewer."""
    up = rays[:, 2:3].clip(-1, 1)
    color = np.array([0.72, 0.8, 0.92]) * (0.75 + 0.25 * up)
    seen = hits.distance < _FAR
    where = origin + rays[seen] * hits.distance[seen, None]
    normal = hits.normal[seen]
    albedo = _texture(where, hits.shape[seen])
    diffuse = 0.45 + 0.55 * _turned(normal, _SUN[None]).clip(0, 1)
    mirrored = rays[seen] - 2 * (rays[seen] * normal).sum(axis=1, keepdims=True) * normal
    gloss = np.where((hits.shape[seen] > 0) & (hits.shape[seen] <= len(SPHERES)), 0.45, 0.05)[:, None]
    color[seen] = albedo * diffuse + gloss * _turned(mirrored, _SUN[None]).clip(0, 1) ** 24
    return color.clip(0, 1)


def _texture(where: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Albedo of surface points: a base colour a shape, under bands of several sizes that feature finders like."""
    generator = np.random.default_rng(7)
    bases = np.array(
        [(0.55, 0.5, 0.45), (0.8, 0.32, 0.22), (0.25, 0.65, 0.35), (0.3, 0.4, 0.85), (0.85, 0.75, 0.25),
         (0.7, 0.35, 0.75), (0.3, 0.7, 0.75), (0.85, 0.55, 0.3)]
    )  # fmt: skip
    frequencies = np.repeat([3.0, 6.5, 13.0, 25.0], 3)
    strengths = np.repeat([0.3, 0.25, 0.22, 0.15], 3)
    directions = generator.normal(size=(12, 3))
    directions *= (frequencies / np.linalg.norm(directions, axis=1))[:, None]
    phases, axes = generator.uniform(0, 2 * np.pi, (2, 12)), generator.integers(3, size=12)
    tints = 0.25 * strengths[:, None] * generator.uniform(-1, 1, (12, 3))
    # A wave along a bent axis never repeats, so no two places look alike.
    bend = np.sin((1.7 * where[:, axes] + phases[0]).astype(np.float32)) * (0.4 * frequencies).astype(np.float32)
    waves = np.sin((_turned(where, directions) + phases[1] + shape[:, None]).astype(np.float32) + bend)
    light, tint = _turned(waves, strengths[None])[:, 0], _turned(waves, tints.T)
    tiles = ((np.floor(where[:, 0] * 1.5) + np.floor(where[:, 1] * 1.5)) % 2) * (shape == 0)
    albedo = bases[shape % len(bases)] * (1 + 0.45 * light - 0.25 * tiles)[:, None] + tint
    return albedo.clip(0.02, 1.0)


def _write_points(path: Path, count: int) -> None:
    """Exact points where random rays into the scene end."""
    generator = np.random.default_rng(1)
    positions, colors = [np.zeros((0, 3))], [np.zeros((0, 3))]
    while sum(map(len, positions)) < count:
        pose = _pose(int(generator.integers(0, 64)), 64)
        rays = np.concatenate([generator.uniform(-0.6, 0.6, (count, 2)), np.ones((count, 1))], axis=1)
        rays = _turned(rays, pose[:3, :3])
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        hits = _trace(pose[:3, 3], rays)
        seen = np.flatnonzero(hits.distance < _FAR)[: max(1, count // 16)]
        positions.append(pose[:3, 3] + rays[seen] * hits.distance[seen, None])
        colors.append(_texture(positions[-1], hits.shape[seen]))
    vertex = np.zeros(count, [(n, "<f4") for n in "xyz"] + [(n, "u1") for n in ("red", "green", "blue")])
    for axis, values in zip("xyz", np.concatenate(positions)[:count].T, strict=True):
        vertex[axis] = values
    for channel, values in zip(("red", "green", "blue"), np.concatenate(colors)[:count].T, strict=True):
        vertex[channel] = np.rint(values * 255)
    properties = "".join(f"property float {n}\n" for n in "xyz") + "".join(
        f"property uchar {n}\n" for n in ("red", "green", "blue")
    )
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{properties}end_header\n"
    _write(path, header.encode() + vertex.tobytes())


def _write_image(path: Path, pixels: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.part")
    Image.fromarray(pixels).save(temporary, format="PNG", compress_level=1)
    os.replace(temporary, path)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
