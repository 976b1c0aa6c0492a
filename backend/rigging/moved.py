"""A binding that goes along where all of its splats are moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.rigging.binding import Binding


def moved_binding(binding: Binding, matrix: np.ndarray, means: np.ndarray) -> Binding | None:
    """The same splats on the same faces, everything carried by one affine map.

    matrix: [4, 4]. means: float32 [N, 3], of the splats after the map.
    None where the map mirrors, because the mesh's faces would look inwards.
    """
    turn = matrix[:3, :3]
    if np.linalg.det(turn) <= 0:
        return None

    def moved(vertices: np.ndarray) -> np.ndarray:
        return (vertices @ turn.T + matrix[:3, 3]).astype(np.float32)

    if binding.distance is not None:
        binding = replace(binding, distance=binding.distance * float(np.cbrt(np.linalg.det(matrix[:3, :3]))))
    surface = None if binding.surface is None else moved(binding.surface)
    return replace(binding.resting(moved(binding.mesh.vertices), means), surface=surface)
