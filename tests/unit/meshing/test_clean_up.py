"""Repairs of meshes that are broken in known ways, and the process that makes them."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import numpy as np
import pytest
import trimesh

from backend.meshing.child_process import in_process
from backend.meshing.clean_up import cleaned, without_small_pieces
from backend.meshing.settings import SurfaceSettings
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


def ball(radius: float = 1.0, place: tuple[float, float, float] = (0, 0, 0), subdivisions: int = 4) -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return TriangleMesh((made.vertices + place).astype(np.float32), made.faces.astype(np.int32))


def joined(*meshes: TriangleMesh) -> TriangleMesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)])
    return TriangleMesh(np.concatenate([mesh.vertices for mesh in meshes]), faces.astype(np.int32))


def clean(mesh: TriangleMesh, **settings) -> TriangleMesh:
    return cleaned(mesh, SurfaceSettings(**{"faces": None, **settings}), lambda: None)


def test_a_hole_is_closed_when_it_is_small_enough() -> None:
    mesh = ball()
    top = mesh.corners[..., 2].min(axis=1) > 0.98
    torn = mesh.with_faces(~top)
    assert top.sum() > 5 and not torn.is_watertight
    assert clean(torn).is_watertight
    assert not clean(torn, holes=0).is_watertight


def test_an_edge_of_three_faces_gets_two() -> None:
    mesh = ball()
    fin = np.array([[*mesh.faces[0, :2], len(mesh.vertices)]], np.int32)
    broken = TriangleMesh(np.vstack([mesh.vertices, [[3, 0, 0]]]).astype(np.float32), np.vstack([mesh.faces, fin]))
    assert not broken.is_watertight
    assert clean(broken).is_watertight


def test_needles_and_faces_without_a_place_go_and_leave_no_hole() -> None:
    mesh = ball()
    vertices = mesh.vertices.copy()
    a, b = mesh.faces[100, :2]
    vertices[a] = vertices[b]  # two triangles without an area
    nowhere = np.full((1, 3), np.nan, np.float32)
    faces = np.vstack([mesh.faces, [[0, 1, len(vertices)]]]).astype(np.int32)
    made = clean(TriangleMesh(np.vstack([vertices, nowhere]), faces))
    assert made.is_watertight and np.isfinite(made.vertices).all()
    corners = made.corners
    assert np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).min() > 0
    flat = TriangleMesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    with pytest.raises(UserError, match="no triangle with an area"):
        clean(flat)


def test_the_largest_pieces_stay() -> None:
    three = joined(ball(), ball(0.5, (3, 0, 0), 3), ball(0.2, (5, 0, 0), 2))
    assert without_small_pieces(three, 0.0).pieces().max() == 2
    assert without_small_pieces(three, 0.1).pieces().max() == 1
    assert without_small_pieces(three, 0.0, 1).vertices[:, 0].max() <= 1
    assert clean(three, pieces=2, least_piece=0.0).pieces().max() == 1


def test_the_face_budget_is_kept_and_the_mesh_stays_closed() -> None:
    made = clean(ball(), faces=1000)
    assert 900 < len(made.faces) <= 1000 and made.is_watertight
    assert np.abs(np.linalg.norm(made.vertices, axis=1) - 1).max() < 0.02


def test_smoothing_takes_the_noise_and_leaves_the_size() -> None:
    mesh = ball()
    noise = np.random.default_rng(0).normal(0, 0.01, (len(mesh.vertices), 1))
    noisy = TriangleMesh((mesh.vertices * (1 + noise)).astype(np.float32), mesh.faces)
    radii = np.linalg.norm(clean(noisy, smooth=20).vertices, axis=1)
    assert radii.std() < 0.005 and radii.mean() == pytest.approx(1, abs=0.005)


def test_the_face_budget_is_kept_where_all_handles_would_take_more() -> None:
    ring = trimesh.creation.torus(1, 0.3, major_sections=32, minor_sections=16)
    vertices, faces = ring.vertices.astype(np.float32), ring.faces.astype(np.int32)
    rings = [TriangleMesh(vertices + np.array((3 * (i % 6), 3 * (i // 6), 0), np.float32), faces) for i in range(36)]
    made = clean(joined(*rings), faces=200)
    assert 50 <= len(made.faces) <= 200


def test_a_process_that_nobody_wants_any_longer_ends_at_once() -> None:
    class Cancel(Exception):
        pass

    start = 0.0

    def watch() -> None:
        nonlocal start
        if start == 0.0:
            start = time.monotonic()
        raise Cancel

    mesh = ball(subdivisions=6)
    with pytest.raises(Cancel):
        in_process("unfold", {"vertices": mesh.vertices, "faces": mesh.faces}, {"size": 4096, "padding": 4}, watch)
    assert time.monotonic() - start < 2.0


def test_what_a_library_cannot_do_is_one_sentence() -> None:
    with pytest.raises(UserError, match="should repair the mesh could not") as caught:
        in_process("repair", {"vertices": np.zeros((3, 3), np.float32)}, {}, lambda: None)
    assert caught.value.hint


def test_a_process_that_the_system_ends_ran_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            started.append(self)

    def watch() -> None:
        started[0].kill()

    monkeypatch.setattr(subprocess, "Popen", Watched)
    mesh = ball(subdivisions=6)
    with pytest.raises(UserError, match="memory did not suffice to unfold") as caught:
        in_process("unfold", {"vertices": mesh.vertices, "faces": mesh.faces}, {"size": 64}, watch)
    assert caught.value.kind == "out_of_memory" and "'depth'" in caught.value.hint
