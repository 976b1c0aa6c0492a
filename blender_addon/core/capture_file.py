"""Writes a captured scene as a folder that the backend reads: transforms.json, points, meshes.

The world of such a capture is Blender's own (z up, Blender's units), which the key "splatwright_world" says; so splats
made from it stand where the scene stands, without any transform. Pictures are made in an unfinished folder beside the
capture's place and moved in when all are there, transforms.json last: what was cut off is never taken for a capture.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import errors, things
from .camera import world_from_blender_camera
from .capture_poses import POSES_FILE, MeshPoses

Array = npt.NDArray[Any]
Existing = Literal["KEEP", "REPLACE", "EXTEND"]

CAPTURE_FILE = "transforms.json"
POINTS_FILE = "points3d.ply"
WORLD_KEY, WORLD = "splatwright_world", "blender"
_POSES_KEY = "splatwright_mesh_poses"


class Picture(msgspec.Struct, frozen=True):
    file_path: str  # below the capture's folder, with "/"
    camera: things.ViewCamera


class NamedMesh(msgspec.Struct, frozen=True):
    """A mesh of the captured scene in the world's frame, under its object's name."""

    name: str
    vertices: Array  # [V, 3] float32
    faces: Array  # [F, 3] int32


class CaptureFolder:
    """The folder of a capture that is being made; `finish` puts it in place, `discard` leaves no trace of it."""

    def __init__(self, folder: Path, existing: Existing) -> None:
        """Raises UserError when the folder must not be written to."""
        self.folder = folder
        self._earlier = _earlier(folder, existing)
        self._extends = existing == "EXTEND" and self._earlier is not None
        self.work = folder.with_name(f"{folder.name}.splatwright-unfinished")
        try:
            # Whatever an earlier Blender that ended in the middle has left.
            shutil.rmtree(self.work, ignore_errors=True)
            (self.work / "images").mkdir(parents=True)
        except OSError as error:
            raise _cannot_write(self.work, error) from error

    def new_name(self, stem: str) -> str:
        """The path of a new picture below the capture's folder, which no picture of it has."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._") or "view"
        name, number = f"images/{stem}.png", 1
        taken = set(_files_of(self._earlier)) if self._extends and self._earlier else set[str]()
        while name in taken or (self.work / name).exists():
            number += 1
            name = f"images/{stem}_{number}.png"
        return name

    def poses_of(self, mesh: str, *, moves: bool) -> MeshPoses | None:
        """Where the poses of this mesh in the new photos are noted; None = all photos show it as it stands.

        mesh: the object's name, "" = none is chosen. moves: the photos show more than one frame.
        Raises UserError where an earlier capture that is extended has poses and the new photos none, or the other way.
        """
        said: dict[str, Any] = (self._earlier or {}).get(_POSES_KEY) or {} if self._extends else {}
        before = str(said.get("object", ""))
        if before and before != mesh:
            message = f"The earlier photos say how '{before}' stood in each of them, and these would not."
            raise errors.UserError("refused", message, f"Choose '{before}' as the mesh in Train, or another folder.")
        if self._extends and not before and mesh and moves:
            message = f"The earlier photos do not say how '{mesh}' stood in each of them."
            raise errors.UserError("refused", message, "Replace the earlier capture, or choose another folder.")
        if not mesh or not (moves or before):
            return None
        return MeshPoses(mesh, self.folder / POSES_FILE if before else None)

    def finish(
        self,
        pictures: Sequence[Picture],
        points: tuple[Array, Array] | None = None,
        meshes: Iterable[NamedMesh] = (),
        poses: MeshPoses | None = None,
    ) -> Path:
        """Puts everything in place and returns the capture's folder.

        points: positions [P, 3] in the world, and colours [P, 3] uint8 sRGB. A capture that is extended keeps its own
        points and meshes. poses: what `poses_of` gave, with every picture.
        Raises UserError when the disk does not take it; until the pictures are moved, the earlier capture is as it was.
        """
        earlier = self._earlier or {}
        try:
            if self._extends:
                new = self._described(pictures, None, ())
                written = {**earlier, "frames": [*earlier["frames"], *new["frames"]]}
            else:
                written = self._described(pictures, points, meshes)
            if poses is not None:
                poses.write(self.work / POSES_FILE)
                written[_POSES_KEY] = {"object": poses.mesh, "file_path": POSES_FILE}
            moved = [path.relative_to(self.work).as_posix() for path in self.work.rglob("*") if path.is_file()]
            if not self._extends:
                # Without it the folder is no capture until all is in its place.
                (self.folder / CAPTURE_FILE).unlink(missing_ok=True)
            for name in moved:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.work / name, self.folder / name)
            _write_whole(self.folder / CAPTURE_FILE, json.dumps(written, indent=1).encode())
            if not self._extends:
                for name in set(_files_of(earlier)) - set(moved):
                    (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        self.discard()
        return self.folder

    def discard(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def _described(
        self, pictures: Sequence[Picture], points: tuple[Array, Array] | None, meshes: Iterable[NamedMesh]
    ) -> dict[str, Any]:
        """Writes points and meshes into the unfinished folder, and says what transforms.json is to hold."""
        described: dict[str, Any] = {
            WORLD_KEY: WORLD,
            "camera_model": "PINHOLE",
            "frames": [frame_of(picture) for picture in pictures],
        }
        if points is not None and len(points[0]):
            write_points(self.work / POINTS_FILE, *points)
            described["ply_file_path"] = POINTS_FILE
        listed: list[dict[str, str]] = []
        for mesh in meshes:
            plain = re.sub(r"[^A-Za-z0-9._-]+", "_", mesh.name)
            name = f"meshes/{len(listed):04d}_{plain}.ply"
            (self.work / "meshes").mkdir(exist_ok=True)
            write_mesh(self.work / name, mesh)
            listed.append({"object": mesh.name, "file_path": name})
        if listed:
            described["splatwright_meshes"] = listed
        return described


def frame_of(picture: Picture) -> dict[str, Any]:
    """A frame of transforms.json: lengths in pixels, the pose in OpenGL's camera axes, which are Blender's."""
    camera = picture.camera
    return {
        "file_path": picture.file_path,
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "transform_matrix": world_from_blender_camera(camera.camera_from_world).tolist(),
    }


def write_points(path: Path, positions: Array, colors: Array) -> None:
    """A binary PLY of coloured points: [P, 3] in the world, [P, 3] uint8 sRGB."""
    vertex = np.empty(len(positions), [("position", "<f4", 3), ("color", "u1", 3)])
    vertex["position"], vertex["color"] = positions, colors
    axes, channels = (f"property float {axis}" for axis in "xyz"), ("red", "green", "blue")
    properties = [*axes, *(f"property uchar {channel}" for channel in channels)]
    path.write_bytes(_ply_head([(f"element vertex {len(vertex)}", properties)]) + vertex.tobytes())


def write_mesh(path: Path, mesh: NamedMesh) -> None:
    """A binary PLY of triangles."""
    face = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    face["count"], face["corners"] = 3, mesh.faces
    head = _ply_head(
        [
            (f"element vertex {len(mesh.vertices)}", [f"property float {axis}" for axis in "xyz"]),
            (f"element face {len(face)}", ["property list uchar int vertex_indices"]),
        ]
    )
    path.write_bytes(head + mesh.vertices.astype("<f4").tobytes() + face.tobytes())


def points_on(meshes: Sequence[tuple[Array, Array, Array]], count: int, seed: int = 0) -> tuple[Array, Array]:
    """About evenly spread points on triangles: positions [count, 3] float32, colours [count, 3].

    meshes: vertices [V, 3], faces [F, 3], colours [F, 3] of each. Every triangle gets points by its area, the rest of a
    point by its place in the row (systematic sampling), which spreads them more evenly than chance does.
    """
    corners = [vertices.astype(np.float64)[faces] for vertices, faces, _ in meshes]
    triangles = np.concatenate(corners) if corners else np.zeros((0, 3, 3))
    colors = np.concatenate([color for _, _, color in meshes]) if meshes else np.zeros((0, 3), np.uint8)
    sides = triangles[:, 1:] - triangles[:, :1]
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    total = float(areas.sum())
    if count <= 0 or not np.isfinite(total) or total <= 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
    random = np.random.default_rng(seed)
    places = (np.arange(count) + random.random()) * total / count
    chosen = np.minimum(np.searchsorted(np.cumsum(areas), places, side="right"), len(areas) - 1)
    along = np.sqrt(random.random(count))[:, None]  # even over the triangle (Osada et al. 2002)
    across = random.random(count)[:, None]
    a, b, c = triangles[chosen].transpose(1, 0, 2)
    return ((1 - along) * a + along * (1 - across) * b + along * across * c).astype(np.float32), colors[chosen]


def is_seen(positions: Array, seen_by: Iterable[things.ViewCamera]) -> Array:
    """Which points [P, 3] lie in the frame of one camera or more, [P] bool; what stands before them is ignored."""
    seen = np.zeros(len(positions), bool)
    for camera in seen_by:
        matrix = np.reshape(camera.camera_from_world, (4, 4))
        x, y, z = (positions @ matrix[:3, :3].T + matrix[:3, 3]).T
        column, row = camera.fx * x + camera.cx * z, camera.fy * y + camera.cy * z  # times z, which may be 0
        seen |= (z > 0) & (column >= 0) & (column < camera.width * z) & (row >= 0) & (row < camera.height * z)
    return seen


def is_from_blender(folder: Path) -> bool:
    """Whether the folder is a whole capture of a scene, in Blender's world."""
    read = _read(folder / CAPTURE_FILE)
    return read is not None and read.get(WORLD_KEY) == WORLD


def _earlier(folder: Path, existing: Existing) -> dict[str, Any] | None:
    """What the capture that is in the folder says; None when there is none. Raises UserError if it must stay."""
    path = folder / CAPTURE_FILE
    if not folder.exists() or not any(folder.iterdir()):
        return None
    read = _read(path)
    if read is None or read.get(WORLD_KEY) != WORLD:
        raise errors.UserError(
            "refused",
            f"{folder} holds something else than a capture of a scene.",
            "Choose an empty or a new folder; nothing was changed.",
        )
    if existing == "KEEP":
        raise errors.UserError(
            "refused",
            f"{folder} holds a capture already.",
            "Choose another folder, or that the earlier capture is replaced or extended.",
        )
    return read


def _read(path: Path) -> dict[str, Any] | None:
    try:
        read: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(read, dict):
        return None
    found = cast(dict[str, Any], read)
    return found if isinstance(found.get("frames"), list) else None


def _files_of(written: dict[str, Any]) -> list[str]:
    """The files that a capture of ours names, relative and inside its folder."""
    named = [*written.get("frames", ()), *written.get("splatwright_meshes", ())]
    paths = [str(entry.get("file_path", "")) for entry in named] + [str(written.get("ply_file_path", ""))]
    ours = [path for path in paths if re.fullmatch(r"((images|meshes)/)?[A-Za-z0-9._-]+\.(png|ply)", path)]
    return [*ours, POSES_FILE] if _POSES_KEY in written else ours


def _ply_head(elements: list[tuple[str, list[str]]]) -> bytes:
    lines = [line for element, properties in elements for line in (element, *properties)]
    return "\n".join(["ply", "format binary_little_endian 1.0", *lines, "end_header", ""]).encode()


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def _cannot_write(path: Path, error: OSError) -> errors.UserError:
    if error.errno == errno.ENOSPC:
        return errors.UserError("disk_full", f"The disk of {path} is full.", "Make room, or choose another folder.")
    return errors.UserError(
        "bad_input", f"{path} cannot be written: {error.strerror}.", "Choose a folder that you may write to."
    )
