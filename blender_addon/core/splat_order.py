"""Splats of several objects as Blender's own drawing takes them: where each object is seen, and the farthest first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import things

Array = npt.NDArray[np.float32]

ROWS = 5  # of four numbers that say how an object is seen


class Placed(msgspec.Struct, frozen=True):
    """Splats of one object."""

    means: Array  # [N, 3] in the object's frame
    first: int  # the number of the first of them, among the splats of all copies
    world_from_object: npt.NDArray[np.float64]  # [4, 4]; may scale unevenly, shear and mirror


class Seen(msgspec.Struct, frozen=True):
    """What a camera sees.

    rows: for each object the axes of the camera's frame in the object's (three rows), each followed by a coordinate of
        the camera's centre in the object's frame; what single precision leaves of that centre; and the direction in
        which the camera looks, in the object's frame.
    order: for each splat, from the farthest to the nearest, its number among all splats, and its object's.
    """

    rows: Array  # [objects * ROWS, 4]
    order: Array  # [M, 2]


def shares(counts: Sequence[int], most: int) -> list[int]:
    """How many splats of each object are drawn, so that all together are about `most` at most; at least one of each."""
    total = sum(counts)
    return list(counts) if total <= most else [max(count * most // total, 1) for count in counts]


def entries_of(placed: Sequence[Placed]) -> Array:
    """Number of each splat and of its object, [N, 2]; in single precision, which is exact up to 16 million."""
    parts = [
        np.stack([np.arange(item.first, item.first + len(item.means)), np.full(len(item.means), number)], 1)
        for number, item in enumerate(placed)
    ]
    return np.concatenate([np.zeros((0, 2)), *parts]).astype(np.float32)


def seen_by(camera: things.ViewCamera, placed: Sequence[Placed], entries: Array) -> Seen:
    """entries: `entries_of` the same objects."""
    rows, depths = [np.zeros((0, 4))], [np.zeros(0, np.float32)]
    camera_from_world = np.reshape(np.asarray(camera.camera_from_world, np.float64), (4, 4))
    for item in placed:
        camera_from_object = camera_from_world @ item.world_from_object
        linear = camera_from_object[:3, :3]
        centre = -np.linalg.solve(linear, camera_from_object[:3, 3])
        forward = np.linalg.solve(linear, (0.0, 0.0, 1.0))
        rounded = centre.astype(np.float32)
        rest = np.stack([centre - rounded, forward / np.linalg.norm(forward)])
        rows += [np.concatenate([linear, rounded[:, None]], 1), np.pad(rest, ((0, 0), (0, 1)))]
        # Not as a product of matrices: its threads would wait for each other while the processor is busy elsewhere.
        x, y, z, offset = camera_from_object[2].astype(np.float32)
        depths.append(item.means[:, 0] * x + item.means[:, 1] * y + item.means[:, 2] * z + offset)
    order = _farthest_first(np.concatenate(depths), camera.near, camera.far)
    pairs = entries.view(np.uint64)[:, 0]  # one gather for both
    return Seen(np.concatenate(rows).astype(np.float32), pairs[order].view(np.float32).reshape(-1, 2))


def _farthest_first(depths: Array, near: float, far: float) -> npt.NDArray[np.int64]:
    """The numbers of what lies between, by falling depth.

    The bits of positive floats rise with them, and numpy sorts 16 bits by counting: in two steps that is five times as
    fast as sorting floats.
    """
    within = np.flatnonzero((depths >= near) & (depths <= far))
    bits = ~depths[within].view(np.uint32)
    order = np.argsort(bits.astype(np.uint16), kind="stable")
    order = order[np.argsort((bits[order] >> 16).astype(np.uint16), kind="stable")]
    return within[order]
