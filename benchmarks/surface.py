"""Whether splats lie on the surface: SuGaR's alignment and agreeing normals against plain training, with known meshes.

Trained from the same photos with the same steps and budget of splats, from points such as feature matching finds, which
lie a hundredth of the mesh's diagonal off it; both also as a continuation of the plain result.
Points are those of the depth that is drawn where rays meet splats, and those of the density's level set, as Poisson
takes them (`backend/meshing/level_set.py`); their chamfer distance is the mean of both directions, in thousandths of
the mesh's diagonal, without the parts of the mesh that no photo shows. `reached` is judged by drawn depth: level sets
find the rim of plain splats, too, within a part of a pixel (docs/decisions/0028, 0029 and 0030).
Run as `python build.py bench surface`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from backend import machine
from backend.captures import load_capture, read_photos
from backend.captures.capture import PointCloud
from backend.jobs.evaluation import evaluate, mean_figures
from backend.jobs.settings import chosen_settings
from backend.meshing.density import SplatDensity
from backend.meshing.depth_picture import UNKNOWN, take_depth_picture
from backend.meshing.level_set import level_points
from backend.meshing.viewpoints import Viewpoint
from backend.methods import registry
from backend.methods.job import QuietJob
from backend.rigging.closest_faces import closest_faces
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io.mesh_files import read_mesh
from backend.splats.quaternions import quats_to_matrices
from backend.splats.representation import CloudRepresentation
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingInputs
from backend.training.plan import plan_training
from benchmarks.known_scenes import NAMES, make_scene
from benchmarks.record import record

LEVEL = 0.3  # of the density, as in SuGaR
POINTS, FINER = 20_000, 2  # of a picture, which has so many times more pixels along a side than the photo
START_POINTS, START_ERROR = 1_500, 0.01  # of the mesh's diagonal, standard deviation
TRUE_POINTS = 100_000  # of the mesh
LARGEST_STEP = 20  # a step in depth is larger than the mesh's diagonal divided by this
LEAST_FLATTER, LEAST_NEARER, MOST_DEGREES = 5.0, 2.0, 10.0  # what is asked for
WAYS: dict[str, tuple[str, bool]] = {  # name -> method, whether it goes on from what plain training made
    "plain": ("default", False),
    "plain mcmc": ("mcmc", False),
    "sugar_surface": ("sugar_surface", False),
    "sugar_surface, continued": ("sugar_surface", True),
    "surface_normals": ("surface_normals", False),
    "surface_normals, continued": ("surface_normals", True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--splats", type=int, default=8000)
    parser.add_argument("--pixels", type=int, default=160 * 160, help="of a photo")
    parser.add_argument("--made", type=Path, help="folder with scenes that were made before")
    parser.add_argument("--results", type=Path, help="folder for the figures instead of the repository's")
    parser.add_argument("--set", nargs="*", default=[], help="name=value of settings, for methods that have them")
    chosen = parser.parse_args()
    load, rows = machine.load_average(), []
    with tempfile.TemporaryDirectory() as folder:
        for scene in chosen.scenes:
            path = (chosen.made or Path(folder)) / scene
            rows += measure_scene(scene, path if path.is_dir() else make_scene(scene, path), chosen)
    claim = (
        f"Aligned splats are {LEAST_FLATTER:.0f} x flatter than plain ones, their drawn depth is {LEAST_NEARER:.0f} x "
        f"nearer to the mesh, and their normals are within {MOST_DEGREES:.0f} degrees of its"
    )
    settings = {"steps": chosen.steps, "splats": chosen.splats, "pixels": chosen.pixels, "level": LEVEL}
    more = {} if chosen.results is None else {"folder": chosen.results}
    record("surface", claim, rows, device="cpu", settings=settings, load_before=load, **more)


def measure_scene(scene: str, folder: Path, chosen: argparse.Namespace) -> list[dict[str, str | float | bool]]:
    capture, mesh = load_capture(folder), read_mesh(folder / "mesh.ply")
    plan = plan_training(
        capture.train_views,
        device="cpu",
        max_pixels=chosen.pixels,
        steps=chosen.steps,
        max_splats=chosen.splats,
    )
    train, test = (
        read_photos(views, max_pixels=chosen.pixels, masks="off") for views in (capture.train_views, capture.test_views)
    )
    points = start_points(mesh)
    plain: dict[str, float] = {}
    made: SplatCloud | None = None
    rows = []
    for way in chosen.ways:
        method_id, continues = WAYS[way]
        method, start = registry.find(method_id), None
        if continues:
            assert made is not None, "the plain way comes first"
            start = GivenSplats(made)
        names = {setting.name for setting in method.settings}
        typed = dict(text.split("=", 1) for text in chosen.set)
        settings = chosen_settings(method, {n: v for n, v in typed.items() if n in names})
        began = time.perf_counter()
        result = method.run(settings, TrainingInputs(train, test, points, plan, start=start), QuietJob())
        seconds = time.perf_counter() - began
        drawn_as = getattr(settings, "antialiased", False)
        figures = surface_figures(result.cloud, mesh, [photo.camera for photo in train], result.near, drawn_as)
        psnr, _ = mean_figures(evaluate(result.cloud, test, device="cpu", near=result.near, antialiased=drawn_as))
        if way == "plain":
            plain, made = figures, result.cloud
        row: dict[str, str | float | bool] = {"scene": scene, "way": way, "psnr": psnr or 0.0, **figures}
        row |= {"splats": len(result.cloud), "seconds": seconds}
        if plain and not way.startswith("plain"):
            row["flatter"] = plain["thin"] / figures["thin"]
            row["nearer"] = plain["chamfer"] / figures["chamfer"]
            row["depth_nearer"] = plain["depth_chamfer"] / figures["depth_chamfer"]
            row["reached"] = (
                row["flatter"] >= LEAST_FLATTER
                and row["depth_nearer"] >= LEAST_NEARER
                and figures["degrees"] < MOST_DEGREES
            )
        rows.append(row)
        print(row, flush=True)
    return rows


def surface_figures(
    cloud: SplatCloud, mesh: TriangleMesh, cameras: list[Camera], near: float, antialiased: bool
) -> dict[str, float]:
    """thin: mean of smallest to largest scale. degrees: median angle of the shortest axis and the mesh's normal at its
    nearest point. chamfer: of the level set's points; depth_chamfer: of the drawn depth's."""
    cloud = cloud.select(cloud.finite())
    scales = np.exp(cloud.log_scales.astype(np.float64))
    axes = quats_to_matrices(cloud.quats)
    shortest = np.take_along_axis(axes, scales.argmin(axis=1)[:, None, None], 2)[..., 0]
    corners = mesh.corners[closest_faces(cloud.means, mesh, np.arange(len(mesh.faces))).faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    cosines = np.abs((shortest * normals).sum(axis=1)) / np.linalg.norm(normals, axis=1)
    level, depth = extracted_points(
        CloudRepresentation(cloud, "cpu", antialiased=antialiased), cameras, near, diagonal(mesh) / LARGEST_STEP
    )
    true_points = seen_points(points_of(mesh, TRUE_POINTS), mesh, cameras, near)
    return {
        "thin": float((scales.min(axis=1) / scales.max(axis=1)).mean()),
        "degrees": float(np.degrees(np.median(np.arccos(cosines.clip(0, 1))))),
        "chamfer": chamfer(level, mesh, true_points),
        "depth_chamfer": chamfer(depth, mesh, true_points),
    }


def extracted_points(
    representation: CloudRepresentation, cameras: list[Camera], near: float, largest_step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points [P, 3] of the level set that the cameras see, and of the depth that is drawn for them."""
    density, random = SplatDensity(representation.bake()), np.random.default_rng(0)
    level, depth = [], []
    for camera in cameras:
        view = Viewpoint(camera.resized(FINER * camera.width, FINER * camera.height), near, 1e10)
        picture = take_depth_picture(representation, view, device="cpu", largest_step=largest_step)
        level.append(level_points(picture, density, LEVEL, POINTS, random).places)
        rows, columns = np.nonzero((picture.depth != UNKNOWN) & np.isfinite(picture.depth))
        chosen = random.choice(len(rows), min(POINTS, len(rows)), replace=False)
        depth.append(
            unprojected(view.camera, rows[chosen], columns[chosen], picture.depth[rows[chosen], columns[chosen]])
        )
    return np.concatenate(level), np.concatenate(depth)


def unprojected(camera: Camera, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """World places [P, 3] at those depths through the centres of pixels."""
    x, y = (columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy
    seen = np.stack([x, y, np.ones(len(x))], -1) * depth[:, None].astype(np.float64)
    return camera.centre + seen @ camera.camera_from_world[:3, :3]


def chamfer(found: np.ndarray, mesh: TriangleMesh, true_points: np.ndarray) -> float:
    """Mean of the distances from points to the mesh, and from the mesh's points to them, in thousandths of its size."""
    off = closest_faces(found, mesh, np.arange(len(mesh.faces))).distances.mean()
    missed = KDTree(found).query(true_points, workers=-1)[0].mean()
    return 1000 * float(off + missed) / 2 / diagonal(mesh)


def seen_points(points: np.ndarray, mesh: TriangleMesh, cameras: list[Camera], near: float) -> np.ndarray:
    """Those of a mesh's points that any camera sees: of the others no photo tells."""
    is_seen = np.zeros(len(points), bool)
    for camera in cameras:
        finer = camera.resized(FINER * camera.width, FINER * camera.height)
        depth = surface_depth(mesh.vertices, mesh.faces, finer, near=near)
        x, y, z = finer.camera_from_world[:3, :3] @ points.T + finer.camera_from_world[:3, 3:]
        columns, rows = (np.floor(f * a / z + c) for f, a, c in ((finer.fx, x, finer.cx), (finer.fy, y, finer.cy)))
        inside = (z > near) & (columns >= 0) & (columns < finer.width) & (rows >= 0) & (rows < finer.height)
        at = rows[inside].astype(int), columns[inside].astype(int)
        is_seen[inside] |= z[inside] <= depth[at] + diagonal(mesh) / LARGEST_STEP / 4
    return points[is_seen]


def diagonal(mesh: TriangleMesh) -> float:
    return float(np.linalg.norm(mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)))


def start_points(mesh: TriangleMesh) -> PointCloud:
    places, random = points_of(mesh, START_POINTS), np.random.default_rng(1)
    places = places + START_ERROR * diagonal(mesh) * random.normal(size=places.shape) / np.sqrt(3)
    return PointCloud(places.astype(np.float32), np.full(places.shape, 128, np.uint8))


def points_of(mesh: TriangleMesh, count: int) -> np.ndarray:
    """Places [count, 3] spread evenly over the faces."""
    corners, random = mesh.corners, np.random.default_rng(0)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    faces = random.choice(len(areas), count, p=areas / areas.sum())
    one, two = random.random((2, count))
    one, two = np.where(one + two > 1, (1 - one, 1 - two), (one, two))
    a, b, c = corners[faces].transpose(1, 0, 2)
    return a + one[:, None] * (b - a) + two[:, None] * (c - a)


if __name__ == "__main__":
    main()
