"""Whether a mesh that was changed is at rest still the surface that splats were bound to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from mathutils.bvhtree import BVHTree

from ..protocol import errors, messages
from . import meshes

Array = npt.NDArray[Any]
_APART = 0.05  # of the diagonal: splats so near a mesh are bound to it whatever its faces are
_LOOKED_AT = 2000  # vertices of each


def refuse_another(name: str, before: messages.MeshData, now: meshes.Mesh) -> None:
    """Raises UserError where the two meshes, in one frame, are other surfaces. name: of the mesh, for the sentence."""
    diagonal = float(np.linalg.norm(np.ptp(before.vertices, axis=0)))
    apart = max(
        _farthest(before.vertices, now.vertices, now.faces), _farthest(now.vertices, before.vertices, before.faces)
    )
    if not apart <= _APART * diagonal:
        message = f"'{name}' is at rest another surface than the splats were bound to."
        hint = "Put it back to rest as it was, or choose it above and bind to it all the same."
        raise errors.UserError("bad_input", message, hint)


def _farthest(points: Array, vertices: Array, faces: Array) -> float:
    """From a surface, of some of the points; infinite where one is no number."""
    tree: Any = BVHTree.FromPolygons(vertices.tolist(), faces.tolist())
    chosen = points[:: max(1, len(points) // _LOOKED_AT)]
    if not np.isfinite(chosen).all():
        return float("inf")
    found = [tree.find_nearest(point.tolist())[3] for point in chosen]
    return max((float("inf") if distance is None else distance for distance in found), default=float("inf"))
