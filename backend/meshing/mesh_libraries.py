# pyright: reportAttributeAccessIssue=false
"""What libraries do to meshes, as tasks from arrays to arrays; `child_process` runs this file as a program.

Mesh arrays are `vertices` float32 [V, 3] and `faces` int32 [F, 3].
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Options = Mapping[str, Any]

_NEEDLE = 1e-4  # per cent of the mesh's size: a shorter edge is none


def reconstruct(given: Arrays, options: Options) -> Arrays:
    """Screened Poisson reconstruction (Kazhdan and Hoppe 2013) of `places` and `normals` [P, 3].

    options: depth, of the octree. Returns a mesh, and `density` [V]: at which depth of the octree samples are as dense.
    """
    import pymeshlab

    meshes = pymeshlab.MeshSet(verbose=False)
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=given["places"], v_normals_matrix=given["normals"]))
    # One thread: with several, sums in another order would give another mesh every time.
    meshes.generate_surface_reconstruction_screened_poisson(depth=options["depth"], preclean=True, threads=1)
    made = meshes.current_mesh()
    return _mesh(made) | {"density": made.vertex_scalar_array().astype(np.float32)}


def repair(given: Arrays, options: Options) -> Arrays:
    """A mesh whose edges have at most two faces, with small holes closed, smooth, and of a face budget.

    options: holes, the most edges of a hole that is closed; smooth, rounds of smoothing that keeps the volume (Taubin
    1995); faces, the most triangles (quadric error metrics, Garland and Heckbert 1997), 0 = all.
    """
    import pymeshlab

    meshes = pymeshlab.MeshSet(verbose=False)
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=given["vertices"].astype(np.float64), face_matrix=given["faces"]))
    _make_manifold(meshes)
    if options["holes"]:
        meshes.meshing_close_holes(maxholesize=options["holes"], newfaceselected=False)
    if options["smooth"]:
        meshes.apply_coord_taubin_smoothing(stepsmoothnum=options["smooth"])
    for keeps_topology in (True, False):  # few faces may not suffice for all handles of a mesh
        if options["faces"] and meshes.current_mesh().face_number() > options["faces"]:
            meshes.meshing_decimation_quadric_edge_collapse(
                targetfacenum=options["faces"],
                preservetopology=keeps_topology,
                preservenormal=True,
                planarquadric=True,
            )
            _make_manifold(meshes)
    return _mesh(meshes.current_mesh())


def unfold(given: Arrays, options: Options) -> Arrays:
    """Charts of the mesh beside each other in a square, by xatlas.

    options: size of the square and padding between charts, pixels. Returns `uvs` float32 [F, 3, 2] of each corner, in
    0..1, v upward.
    """
    import xatlas

    _keep_to_one_core()  # its threads wait for each other in loops that take whole cores
    atlas = xatlas.Atlas()
    atlas.add_mesh(given["vertices"], given["faces"].astype(np.uint32))
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = options["size"], options["padding"], True
    packing.create_image, packing.bruteForce = False, False
    atlas.generate(charts, packing)
    _, corners, uvs = atlas[0]
    uvs = uvs.astype(np.float64) * (atlas.width, atlas.height) / max(atlas.width, atlas.height)
    return {"uvs": uvs[corners].astype(np.float32)}


TASKS: dict[str, Callable[[Arrays, Options], Arrays]] = {"reconstruct": reconstruct, "repair": repair, "unfold": unfold}


def _keep_to_one_core() -> None:
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})


def _make_manifold(meshes: Any) -> None:
    import pymeshlab

    # Needles are joined, not removed: their neighbours would be left with a hole.
    meshes.meshing_merge_close_vertices(threshold=pymeshlab.PercentageValue(_NEEDLE))
    meshes.meshing_remove_duplicate_faces()
    meshes.meshing_remove_null_faces()
    meshes.meshing_repair_non_manifold_edges(method="Remove Faces")
    meshes.meshing_repair_non_manifold_vertices(vertdispratio=0)
    meshes.meshing_remove_unreferenced_vertices()


def _mesh(made: Any) -> Arrays:
    return {"vertices": made.vertex_matrix().astype(np.float32), "faces": made.face_matrix().astype(np.int32)}


def _main(task: str, given: Path, made: Path) -> None:
    with np.load(given, allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    options = json.loads(content.pop("options").tobytes())
    np.savez(made, allow_pickle=False, **TASKS[task](content, options))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
