"""A tube covered with splats as a capture leaves them, and what bends and twists it, known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.deformation import rotation_part
from backend.splats.deformed_shapes import axes_of_shapes, deformed_shapes, shapes_of_axes
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import Representation
from backend.splats.sh_rotation import rotate_sh
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh
from tests.made_splats import discs, with_shine

RADIUS, HALF_LENGTH = 0.4, 2.0
Map = Callable[[np.ndarray], np.ndarray]


def bend(points: np.ndarray, angle: float = np.pi / 2) -> np.ndarray:
    """The middle quarter of the tube becomes an arc towards +x. [N, 3] -> [N, 3]"""
    x, y, z = points.astype(np.float64).T
    theta, radius = angle * np.clip(z + 0.5, 0, 1), 1 / angle
    below, above = np.minimum(z + 0.5, 0), np.maximum(z - 0.5, 0)
    middle_x = radius * (1 - np.cos(theta)) + above * np.sin(theta)
    middle_z = below - 0.5 + radius * np.sin(theta) + above * np.cos(theta)
    return np.stack([middle_x + x * np.cos(theta), y, middle_z - x * np.sin(theta)], -1)


def twist(points: np.ndarray, angle: float = np.pi / 2) -> np.ndarray:
    """The upper end is turned by the angle, the lower one not. [N, 3] -> [N, 3]"""
    x, y, z = points.astype(np.float64).T
    theta = angle * np.clip(z + 0.5, 0, 1)
    return np.stack([x * np.cos(theta) - y * np.sin(theta), x * np.sin(theta) + y * np.cos(theta), z], -1)


def tube(around: int, along: int, radius: float = RADIUS) -> TriangleMesh:
    """Closed at both ends."""
    angles, heights = np.arange(around) / around * 2 * np.pi, np.linspace(-HALF_LENGTH, HALF_LENGTH, along)
    side = [[radius * np.cos(angle), radius * np.sin(angle), z] for z in heights for angle in angles]
    faces: list[list[int]] = []
    lower, upper, last = len(side), len(side) + 1, (along - 1) * around
    for column in range(around):
        beside = (column + 1) % around
        faces += [[lower, beside, column], [upper, last + column, last + beside]]
        for row in range(0, last, around):
            a, b = row + column, row + beside
            faces += [[a, b, b + around], [a, b + around, a + around]]
    vertices = [*side, [0, 0, -HALF_LENGTH], [0, 0, HALF_LENGTH]]
    return TriangleMesh(np.array(vertices, np.float32), np.array(faces, np.int32))


def captured_tube(count: int, *, seed: int = 0) -> SplatCloud:
    """Flat splats of uneven sizes, turned in the surface any way, a little beside it, with colours by direction."""
    generator = np.random.default_rng(seed)
    angle, z = generator.uniform(0, 2 * np.pi, count), generator.uniform(-HALF_LENGTH, HALF_LENGTH, count)
    normals = np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], -1)
    means = RADIUS * normals + normals * generator.normal(0, 0.004, (count, 1))
    means[:, 2] = z
    colors = 0.5 + 0.4 * np.stack([np.sin(6 * angle), np.sin(9 * z), np.cos(4 * angle + 5 * z)], -1)
    cloud = discs(means, normals, 1.0, colors)
    width = 0.9 * np.sqrt(4 * np.pi * RADIUS * HALF_LENGTH / count)
    scales = width * np.exp(generator.normal(0, 0.35, (count, 3))) * (1, 1, 0.15)
    turn = generator.uniform(0, np.pi, count)
    turns = np.tile(np.eye(3), (count, 1, 1))
    turns[:, 0, 0], turns[:, 0, 1], turns[:, 1, 0], turns[:, 1, 1] = (
        np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)
    )  # fmt: skip
    axes = axes_of_shapes(cloud.quats, np.zeros((count, 3))) @ turns * scales[:, None, :]
    quats, log_scales = shapes_of_axes(axes)
    return with_shine(replace(cloud, quats=quats, log_scales=log_scales), 2)


def deformed(cloud: SplatCloud, carry: Map) -> SplatCloud:
    """Each splat under the map's own derivative at its centre: the best that any mesh could do."""
    means, step = cloud.means.astype(np.float64), 1e-4
    slopes = [(carry(means + step * axis) - carry(means - step * axis)) / (2 * step) for axis in np.eye(3)]
    jacobians = np.stack(slopes, -1)
    quats, log_scales = deformed_shapes(cloud.quats, cloud.log_scales, jacobians)
    sh = rotate_sh(cloud.sh, rotation_part(jacobians))
    return SplatCloud(carry(means).astype(np.float32), quats, log_scales, cloud.opacity_logits, sh)


def cameras(count: int = 4, size: int = 128) -> list[Camera]:
    """All around it."""
    made = []
    for angle in np.arange(count) / count * 2 * np.pi:
        eye = np.array([5 * np.sin(angle) + 0.4, -5 * np.cos(angle), 0.6])
        forward = np.array([0.4, 0, -0.1]) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0, 0, 1.0))
        right /= np.linalg.norm(right)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        matrix[:3, 3] = -matrix[:3, :3] @ eye
        made.append(Camera(matrix, 1.1 * size, 1.1 * size, size / 2, size / 2, size, size))
    return made


def psnr(one: Representation, two: Representation) -> float:
    """Of the pictures that all cameras take, on black."""
    pairs = [(_draw(one, camera)[0], _draw(two, camera)[0]) for camera in cameras()]
    return float(-10 * np.log10(np.mean([((a - b) ** 2).mean() for a, b in pairs])))


def holes(what: Representation, carry: Map) -> float:
    """The share of the pixels well inside the moved tube that are not covered."""
    mesh = tube(96, 161)
    vertices = carry(mesh.vertices).astype(np.float32)
    seen = open_ = 0
    for camera in cameras():
        inside = np.isfinite(surface_depth(vertices, mesh.faces, camera, near=0.01))
        for axis in (0, 1):
            inside &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        seen += int(inside.sum())
        open_ += int((inside & (_draw(what, camera)[1] < 0.9)).sum())
    return open_ / seen


def _draw(what: Representation, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    drawing = draw_scene([SceneObject(what, np.eye(4))], camera, device="cpu")
    return drawing.color.numpy(), drawing.alpha.numpy()
