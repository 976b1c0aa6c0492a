"""How near extracted meshes are to the truth, and how their textures look from cameras that gave no colour.

Splats are trained from pictures of scenes whose mesh is known (`benchmarks/known_scenes.py`), by the command's own
choice and by the one for surfaces; every method makes a mesh of them, and its texture is baked from the same pictures.
Distances are in thousandths of the scene's size. Accuracy goes from the made mesh to the truth, completeness the other
way, chamfer is their mean; the F-score counts what is within a hundredth. The re-rendered texture is compared with
Blender's pictures where these show the scene.
Run as `python build.py bench meshing`; pictures go to the folder of --pictures and are not part of the repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import igl
import numpy as np
from PIL import Image

from backend import machine
from backend.captures import Photo, load_capture, read_photos
from backend.jobs.meshing_views import Photographs, meshed_part
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.methods import registry
from backend.methods.job import QuietJob
from backend.splats.cameras import Camera
from backend.splats.io import read_splats
from backend.splats.io.mesh_files import read_mesh
from backend.splats.representation import CloudRepresentation
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh
from benchmarks.known_scenes import NAMES, make_scene
from benchmarks.record import REPOSITORY, record

TRAININGS = ("mcmc", "surface_normals")
METHODS = ("tsdf", "poisson")
STEPS, SPLATS = 1500, 20_000
SAMPLES = 50_000
NEAR_ENOUGH = 0.01  # of the scene's size, for the F-score
LEAST_PSNR = 25.0  # dB, of the texture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=list(NAMES), metavar="SCENE")
    parser.add_argument("--pictures", type=Path, default=REPOSITORY / "demo" / "meshing")
    parser.add_argument("--made", type=Path, help="folder with scenes that were made before")
    parser.add_argument("--steps", type=int, default=STEPS, help="of every training")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="splatwright-bench-") as scratch:
        for name in arguments.scenes:
            made = (arguments.made or Path(scratch)) / name
            folder = made if made.is_dir() else make_scene(name, made)
            for training in TRAININGS:
                splats = _trained(folder, training, arguments.steps, Path(scratch, f"{name}_{training}.ply"))
                rows += _rows(splats, folder, {"scene": name, "training": training}, arguments.pictures)
    claim = "textures baked from photos look right from other cameras (25 dB or more), on meshes near the truth"
    settings = {"steps": arguments.steps, "splats": SPLATS, "samples": SAMPLES, "near_enough": NEAR_ENOUGH}
    record("meshing", claim, rows, device="cpu", settings=settings, load_before=load_before)


def _rows(splats: Path, folder: Path, about: dict[str, Any], pictures: Path) -> list[dict[str, Any]]:
    content, truth, capture = read_splats(splats), read_mesh(folder / "mesh.ply"), load_capture(folder)
    representation = CloudRepresentation(content.cloud, "cpu", antialiased=bool(content.antialiased))
    seen = Photographs.of(capture)
    tests = read_photos(capture.test_views, max_pixels=10**6, masks="alpha")
    rows = []
    for method in METHODS:
        found = registry.find(method)
        part = meshed_part(content.cloud, seen.cameras)
        inputs = MeshingInputs(representation, part, seen.cameras, "cpu", seen.photo)
        start, cpu = time.monotonic(), time.process_time()
        result: MeshingResult = found.run(found.settings_type(), inputs, QuietJob())
        seconds = {"seconds": time.monotonic() - start, "own_cpu_seconds": time.process_time() - cpu}
        drawn = [_drawn(result, photo.camera) for photo in tests]
        likeness = _likeness(drawn, tests)
        _strip(drawn, tests, pictures / f"{splats.stem}_{method}.png")
        row: dict[str, Any] = {**about, "method": method, "splats": len(content)}
        row |= nearness(result.mesh, truth) | {"psnr": likeness, "covered": result.covered}
        row |= {"faces": len(result.mesh.faces), "closed": result.mesh.is_watertight, **seconds}
        rows.append(row | {"good": likeness >= LEAST_PSNR})
        print(rows[-1], flush=True)
    return rows


def nearness(made: TriangleMesh, truth: TriangleMesh) -> dict[str, float]:
    """Accuracy, completeness, chamfer in thousandths of the scene's size; F-score; median normal error in degrees."""
    size = float(np.ptp(truth.vertices, axis=0).max())
    random = np.random.default_rng(0)
    of_made, normals = _samples(made, random)
    of_truth, _ = _samples(truth, random)
    there, faces = _distances(of_made, truth)
    back, _ = _distances(of_truth, made)
    agreement = np.abs((normals * _normals(truth)[faces]).sum(axis=1)).clip(0, 1)
    precision, recall = (there < NEAR_ENOUGH * size).mean(), (back < NEAR_ENOUGH * size).mean()
    accuracy, completeness = 1000 * there.mean() / size, 1000 * back.mean() / size
    return {
        "accuracy": float(accuracy),
        "completeness": float(completeness),
        "chamfer": float(accuracy + completeness) / 2,
        "f_score": float(2 * precision * recall / max(precision + recall, 1e-9)),
        "normal_error": float(np.degrees(np.arccos(np.median(agreement)))),
    }


def _trained(folder: Path, method: str, steps: int, splats: Path) -> Path:
    command = ["train", str(folder), "-o", str(splats), "--method", method]
    command += ["--steps", str(steps), "--max-splats", str(SPLATS)]
    subprocess.run([sys.executable, "-m", "backend", *command, "--quiet"], cwd=REPOSITORY, check=True)
    return splats


def _samples(mesh: TriangleMesh, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places [SAMPLES, 3], evenly on the surface, and the normals of their faces."""
    corners = mesh.corners
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = random.choice(len(areas), SAMPLES, p=areas / areas.sum())
    weights = random.dirichlet((1, 1, 1), SAMPLES)
    return (corners[chosen] * weights[..., None]).sum(axis=1), _normals(mesh)[chosen]


def _normals(mesh: TriangleMesh) -> np.ndarray:
    corners = mesh.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _distances(places: np.ndarray, mesh: TriangleMesh) -> tuple[np.ndarray, np.ndarray]:
    """How far the mesh is, and its nearest face."""
    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    squared, nearest, *_ = igl.point_mesh_squared_distance(places, vertices, faces)
    return np.sqrt(squared), np.asarray(nearest)


def _drawn(result: MeshingResult, camera: Camera) -> np.ndarray:
    """The textured mesh on white, [H, W, 3] 0..1: a z-buffer, then what the texture has at each pixel's place."""
    assert result.texture is not None
    mesh = result.mesh
    depth = surface_depth(mesh.vertices, mesh.faces, camera, near=1e-3)
    row, column = np.nonzero(np.isfinite(depth))
    rays = np.stack([(column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones((len(rays), 1))], 1) @ camera.camera_from_world[:3, :3]
    places = camera.centre + rays * depth[row, column, None]
    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    _, found, nearest = igl.point_mesh_squared_distance(places, vertices, faces)
    chosen = np.asarray(found)
    corners = [np.ascontiguousarray(corner) for corner in np.moveaxis(vertices[faces[chosen]], 1, 0)]
    picture = np.ones((camera.height, camera.width, 3), np.float32)
    weights = np.asarray(igl.barycentric_coordinates(np.asarray(nearest), *corners))
    picture[row, column] = result.texture.at(chosen, weights)
    return picture


def _likeness(drawn: list[np.ndarray], photos: list[Photo]) -> float:
    """PSNR in dB, over the pixels where the photos show the scene."""
    errors = [
        ((picture - photo.rgb / np.float32(255)) ** 2)[photo.alpha > 127]
        for picture, photo in zip(drawn, photos, strict=True)
        if photo.alpha is not None
    ]
    return float(-10 * np.log10(np.concatenate(errors).mean()))


def _strip(drawn: list[np.ndarray], photos: list[Photo], path: Path) -> None:
    above = np.hstack([photo.rgb for photo in photos[:4]])
    below = np.hstack([(picture * 255).clip(0, 255).astype(np.uint8) for picture in drawn[:4]])
    Image.fromarray(np.vstack([above, below])).save(path)


if __name__ == "__main__":
    main()
