"""What every extracted surface goes through before it gets its colours: pieces, repairs, holes, smoothing, faces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.meshing.child_process import in_process
from backend.meshing.settings import SurfaceSettings
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


def cleaned(mesh: TriangleMesh, settings: SurfaceSettings, watch: Callable[[], object]) -> TriangleMesh:
    """Without small pieces and needles, two faces an edge at most, holes closed, within the face budget.

    watch: called many times a second; what it raises ends the work. Raises UserError when nothing is left.
    """
    mesh = without_small_pieces(_with_places(mesh), settings.least_piece, settings.pieces)
    options = {"holes": settings.holes, "smooth": settings.smooth, "faces": settings.faces or 0}
    made = in_process("repair", {"vertices": mesh.vertices, "faces": mesh.faces}, options, watch)
    repaired = _with_places(TriangleMesh(made["vertices"], made["faces"]))
    return without_small_pieces(repaired, settings.least_piece, settings.pieces)


def without_small_pieces(mesh: TriangleMesh, least: float, count: int | None = None) -> TriangleMesh:
    """least: a piece stays when it has at least this part of the largest one's faces. count: the most that stay."""
    pieces = mesh.pieces()
    sizes = np.bincount(pieces)
    stays = sizes >= least * sizes.max()
    if count is not None:
        stays[np.argsort(-sizes, kind="stable")[count:]] = False
    return mesh.with_faces(stays[pieces])


def _with_places(mesh: TriangleMesh) -> TriangleMesh:
    """Without faces that lie nowhere. Raises UserError when no other has an area."""
    mesh = mesh.with_faces(np.all(np.isfinite(mesh.corners), axis=(1, 2)))
    corners = mesh.corners
    if not np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any():
        raise UserError("bad_input", "The surface has no triangle with an area.", "Change the settings of its method.")
    return mesh
