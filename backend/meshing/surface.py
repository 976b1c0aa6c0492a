"""The surface of a distance volume as triangles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.meshing.volume import BLOCK, DistanceVolume
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

# In the order that libigl's tables want (Lorensen and Cline 1987).
_CUBE = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
_BLOCKS_AT_ONCE = 4096
_SIDES = (0, 1)


def extract_surface(volume: DistanceVolume) -> TriangleMesh:
    """Where the distance is 0, in cubes whose corners were all seen; counter-clockwise seen from outside.

    Raises UserError when there is no such place.
    """
    import igl

    parts = list(_crossed_cubes(volume))
    first = np.concatenate([places for places, _ in parts]) if parts else np.empty((0, 3), np.int64)
    if not len(first):
        raise no_surface()
    shape = tuple(BLOCK * length + 1 for length in volume.shape)
    corners = np.stack([np.ravel_multi_index((first + offset).T, shape) for offset in _CUBE], -1)
    used, one, cubes = np.unique(corners, return_index=True, return_inverse=True)
    places = volume.origin + volume.voxel * np.stack(np.unravel_index(used, shape), -1)
    distances = np.concatenate([values for _, values in parts]).ravel()[one].astype(np.float64)
    # A distance of exactly 0 at a corner would make triangles without an area.
    distances[distances == 0] = 1e-6
    vertices, faces, _ = igl.marching_cubes(distances, places, cubes.reshape(-1, 8).astype(np.int64), 0.0)
    return TriangleMesh(np.asarray(vertices, np.float32), np.asarray(faces, np.int32))


def no_surface() -> UserError:
    hint = "Raise the setting 'views', or train longer: a surface needs splats that cover what is behind them."
    return UserError("bad_input", "No surface was found among the splats.", hint)


def _crossed_cubes(volume: DistanceVolume) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of cubes that were seen whole and have corners on both sides: lowest corner [M, 3], values in _CUBE's order."""
    numbers = np.pad(volume.number_of, (0, 1), constant_values=-1)
    for start in range(0, len(volume.blocks), _BLOCKS_AT_ONCE):
        blocks = volume.blocks[start : start + _BLOCKS_AT_ONCE]
        values, seen = _with_neighbours(volume, numbers, blocks)
        corners = [
            tuple(slice(offset, offset + BLOCK) for offset in corner) for corner in _CUBE
        ]  # of all cubes of a block at once
        inside = np.stack([values[:, i, j, k] < 0 for i, j, k in corners])
        known = np.logical_and.reduce([seen[:, i, j, k] for i, j, k in corners])
        block, *cube = np.nonzero(known & inside.any(axis=0) & ~inside.all(axis=0))
        places = blocks[block].astype(np.int64) * BLOCK + np.stack(cube, -1)
        yield places, np.stack([values[:, i, j, k][block, *cube] for i, j, k in corners], -1)


def _with_neighbours(volume: DistanceVolume, numbers: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances, and whether they were seen, of blocks with the first layer of those behind them: [B, 9, 9, 9]."""
    size = (len(blocks), *(BLOCK + 1,) * 3)
    values, seen = np.ones(size, np.float32), np.zeros(size, bool)
    for side in ((i, j, k) for i in _SIDES for j in _SIDES for k in _SIDES):
        neighbour = numbers[tuple((blocks + side).T)]
        there = neighbour >= 0
        into = tuple(slice(BLOCK, BLOCK + 1) if far else slice(0, BLOCK) for far in side)
        out_of = tuple(slice(0, 1) if far else slice(0, BLOCK) for far in side)
        values[(there, *into)] = volume.distance[(neighbour[there], *out_of)]
        seen[(there, *into)] = volume.weight[(neighbour[there], *out_of)] > 0
    return values, seen
