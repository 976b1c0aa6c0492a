"""Edit, mesh and bind from the command line: results, reports, and sentences for what cannot work."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import msgspec
import numpy as np
import pytest
import trimesh

from backend.captures.made_capture import make_capture
from backend.cli.command import run
from backend.methods import registry
from backend.methods.registry import Method
from backend.splats.enclosed import enclosed_by
from backend.splats.io import read_cloud, write_cloud
from backend.splats.io.mesh_files import read_mesh, write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from tests.made_splats import sphere, with_shine

CLOUD = with_shine(sphere(1.0, 1500), 1)


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    write_cloud(tmp_path / "ball.ply", CLOUD)
    return tmp_path / "ball.ply"


@pytest.fixture
def shape(tmp_path: Path) -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    mesh = TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))
    write_mesh(tmp_path / "rest.obj", mesh)
    write_mesh(tmp_path / "moved.obj", TriangleMesh(mesh.vertices + np.float32(3), mesh.faces))
    return mesh


def test_a_crop_by_corners_and_by_a_matrix_is_the_same(ball: Path, tmp_path: Path) -> None:
    corners, matrix = tmp_path / "corners.ply", tmp_path / "matrix.ply"
    assert run(["edit", "crop", str(ball), "-o", str(corners), "--box", "-2,-2,0 2,2,2"]) == 0
    rows = "2 0 0 0  0 2 0 0  0 0 1 1  0 0 0 1"
    assert run(["edit", "crop", str(ball), "-o", str(matrix), "--box", rows]) == 0
    assert corners.read_bytes() == matrix.read_bytes()
    assert np.array_equal(read_cloud(corners).means, CLOUD.means[CLOUD.means[:, 2] >= 0])


def test_an_edit_is_about_what_words_select(ball: Path, shape: TriangleMesh, tmp_path: Path) -> None:
    out, (x, y, z) = tmp_path / "out.ply", CLOUD.means.T
    write_mesh(tmp_path / "half.obj", TriangleMesh(shape.vertices * np.float32(2) + np.float32([0, 0, 2]), shape.faces))
    opacity, radius = 1 / (1 + np.exp(-CLOUD.opacity_logits)), np.hypot(np.hypot(x - 1, y), z)
    middle = float(np.median(opacity))
    for words, selected in (
        (["box 0 -2 -2 2 2 2"], x >= 0),
        (["box 0 -2 -2 2 2 2", "sphere 1 0 0 0.5", "invert"], (x < 0) & (radius > 0.5)),
        (["box 0 -2 -2 2 2 2", "subtract sphere 1,0,0,0.5"], (x >= 0) & (radius > 0.5)),
        ([f"opacity {middle} inf", "intersect box -2 0 -2 2 2 2"], (opacity >= middle) & (y >= 0)),
        (
            ["all", f"subtract outside {tmp_path / 'half.obj'}"],
            enclosed_by(read_mesh(tmp_path / "half.obj"), CLOUD.means),
        ),
    ):
        options = [part for word in words for part in ("--select", word)]
        assert 0 < selected.sum() < len(CLOUD)
        assert run(["edit", "delete", str(ball), "-o", str(out), *options, "--quiet"]) == 0
        assert np.array_equal(read_cloud(out).means, CLOUD.means[~selected]), words
    options = ["--select", "sphere 1 0 0 0.5", "--select", "grow 2", "--set", "what=others"]
    assert run(["edit", "delete", str(ball), "-o", str(out), *options, "--quiet"]) == 0
    assert len(read_cloud(out)) > (radius <= 0.5).sum()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("transparency 0 1", "'transparency' is none of opacity"),
        ("opacity 0", "'opacity' takes 2 numbers, not 1"),
        ("opacity low high", "not all numbers"),
        ("color 1 1 1 5", "tolerance"),
        ("floaters 1.5", "most"),
        ("invert", "goes on from a --select before it"),
        ("inside", "needs a mesh file"),
        ("inside nothing.obj", "nothing.obj"),
        ("sphere 9 9 9 0.1", "No splats are selected"),
        ("sphere 0 0 0 0", "flat"),
    ],
)
def test_words_that_select_nothing_are_refused(
    words: str, said: str, ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ply"
    assert run(["edit", "delete", str(ball), "-o", str(out), "--select", words]) in (1, 2)
    assert said in capsys.readouterr().err and not out.exists()


def test_the_report_of_a_mesh_describes_the_file(
    ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh, report = tmp_path / "ball.glb", tmp_path / "ball.json"
    assert run(["mesh", str(ball), "-o", str(mesh), "--report", str(report)]) == 0
    told, found = json.loads(report.read_text()), read_mesh(mesh)
    places = np.unique(found.joined().faces)  # the file has some vertices twice, at the seams of the texture
    assert (told["vertices"], told["faces"]) == (len(places), len(found.faces))
    assert (told["texture"], told["color_from"]) == (2048, "splats") and told["texture_covered"] > 0.9
    assert (told["components"], told["watertight"]) == (1, True) and told["seconds"] > 0
    assert "one piece, closed" in capsys.readouterr().err
    assert run(["mesh", str(ball), "-o", str(mesh), "--set", "faces=500", "--set", "texture=none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] <= 500


def test_a_mesh_may_be_looked_at_from_a_captures_cameras(ball: Path, tmp_path: Path) -> None:
    capture = make_capture(tmp_path / "capture", views=9, width=48, height=32)
    report = tmp_path / "report.json"
    command = ["mesh", str(ball), "--capture", str(capture), "--report", str(report), "--set", "resolution=32"]
    assert run([*command, "-o", str(tmp_path / "b.ply")]) == 0
    told = json.loads(report.read_text())
    assert told["views"] == 7 and told["texture"] == 0  # two of nine are held out; PLY files hold no texture
    assert run([*command, "-o", str(tmp_path / "b.obj"), "--set", "texture=128"]) == 0
    told = json.loads(report.read_text())
    assert told["texture"] == 128 and told["color_from"] == "photos"
    assert {path.name for path in tmp_path.glob("b.*")} == {"b.ply", "b.obj", "b.mtl", "b.png"}


def test_a_texture_is_refused_where_the_file_has_no_room_for_it(
    ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mesh", str(ball), "-o", str(tmp_path / "b.ply"), "--set", "texture=512"]) != 0
    assert "PLY files hold no texture" in capsys.readouterr().err and not (tmp_path / "b.ply").exists()


def test_splats_are_written_as_the_posed_mesh_takes_them(ball: Path, shape: TriangleMesh, tmp_path: Path) -> None:
    rest, moved = str(tmp_path / "rest.obj"), str(tmp_path / "moved.obj")
    bound, direct, later = (tmp_path / name for name in ("bound.safetensors", "direct.ply", "later.ply"))
    assert run(["bind", str(ball), rest, "-o", str(direct), "--pose", moved]) == 0
    assert np.allclose(read_cloud(direct).means, CLOUD.means + 3, atol=1e-5)
    assert run(["bind", str(ball), rest, "-o", str(bound)]) == 0
    assert run(["bind", str(bound), moved, "-o", str(later), "--method", "apply_pose"]) == 0
    assert np.allclose(read_cloud(later).means, CLOUD.means + 3, atol=1e-5)
    assert np.allclose(read_cloud(later).sh, CLOUD.sh, atol=1e-6)


def test_splats_follow_as_strongly_as_the_vertices_say(ball: Path, shape: TriangleMesh, tmp_path: Path) -> None:
    upper = (shape.vertices[:, 2] > 0).astype(np.float32)
    np.save(tmp_path / "upper.npy", upper)
    words = ["bind", str(ball), str(tmp_path / "rest.obj"), "--pose", str(tmp_path / "moved.obj"), "-o"]
    out = tmp_path / "half.ply"
    assert run([*words, str(out), "--strength", str(tmp_path / "upper.npy")]) == 0
    moved = read_cloud(out).means - CLOUD.means
    assert np.allclose(moved[CLOUD.means[:, 2] > 0.4], 3, atol=1e-4) and not moved[CLOUD.means[:, 2] < -0.4].any()
    far = tmp_path / "far.ply"
    near = ["--set", "distance=0.001", "--set", "far=follow", "--far-group", str(tmp_path / "upper.npy")]
    assert run([*words, str(far), *near]) == 0
    assert np.allclose(read_cloud(far).means - CLOUD.means, 3, atol=1e-4), "as one with what moved so"


def test_an_animation_becomes_a_file_for_each_frame(
    ball: Path, shape: TriangleMesh, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = shape.vertices + np.arange(3, dtype=np.float32)[:, None, None]
    np.savez(tmp_path / "run.npz", vertices=frames)
    words = ["bind", str(ball), str(tmp_path / "rest.obj"), "--pose", str(tmp_path / "run.npz"), "-o"]
    assert run([*words, str(tmp_path / "frames" / "ball_##.ply")]) == 0
    assert "3 frames written to" in capsys.readouterr().err
    names = [f"ball_0{number}.ply" for number in (1, 2, 3)]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == names
    for shift, name in enumerate(names):
        assert np.allclose(read_cloud(tmp_path / "frames" / name).means, CLOUD.means + shift, atol=1e-5)
    frames[2, 5] = np.nan
    for broken, said in (
        ({"vertices": frames}, "no numbers"),
        ({"vertices": frames[:2, 1:]}, "vertices"),
        ({"vertices": frames[0]}, "no animation"),
        ({"points": frames}, "no animation"),
    ):
        np.savez(tmp_path / "run.npz", **broken)
        assert run([*words, str(tmp_path / "none" / "ball_#.ply")]) == 1
        assert said in capsys.readouterr().err
    with (tmp_path / "run.npz").open("wb") as stream:
        np.save(stream, frames)  # one array, without a name
    assert run([*words, str(tmp_path / "none" / "ball_#.ply")]) == 1
    assert "no animation" in capsys.readouterr().err
    np.savez(tmp_path / "run.npz", vertices=frames[:2])
    assert run([*words, str(tmp_path / "none" / "ball.ply")]) == 1
    assert "one file for all frames" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("edit crop BALL -o OUT.ply --box '1 2 3'", 2, "6 or 16 numbers"),
        ("edit crop BALL -o OUT.ply --box 'a b c d e f'", 2, "not all numbers"),
        ("edit crop BALL -o OUT.ply --box '0 0 0 1 1 0'", 1, "flat"),
        ("edit crop BALL -o OUT.ply", 1, "needs a box"),
        ("edit mcmc BALL -o OUT.ply", 1, "not of editing"),
        ("edit crop BALL -o OUT.ply --set keep=both", 1, "cannot be 'both'"),
        ("mesh BALL -o OUT.fbx", 1, "does not end in"),
        ("mesh BALL -o OUT.glb --method bind", 1, "not of meshing"),
        ("mesh missing.ply -o OUT.glb", 1, "no file"),
        ("bind BALL missing.obj -o OUT.ply", 1, "no file"),
        ("bind BALL BALL -o OUT.ply", 1, "has no faces"),
        ("bind BALL REST -o OUT.ply --method apply_pose", 1, "not bound"),
        ("bind BALL REST -o OUT.ply --pose BALL", 1, "has no faces"),
        ("bind BALL REST -o OUT.ply --strength missing.npy", 1, "no file"),
        ("bind BALL REST -o OUT.ply --far-group red", 1, "no PLY file"),
        ("bind BALL REST -o OUT.xyz", 1, "no suffix of a format"),
    ],
)
def test_what_cannot_work_is_said_and_writes_nothing(
    command: str,
    code: int,
    said: str,
    ball: Path,
    shape: TriangleMesh,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"BALL": str(ball), "REST": str(tmp_path / "rest.obj"), "OUT": str(tmp_path / "out")}
    words = [places.get(word, word.replace("OUT", places["OUT"])) for word in shlex.split(command)]
    assert run(words) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_splats_follow_the_triangles_that_were_made_of_them(ball: Path, tmp_path: Path) -> None:
    rest, moved, out = tmp_path / "soup.ply", tmp_path / "moved.ply", tmp_path / "out.ply"
    assert run(["mesh", str(ball), "-o", str(rest), "--method", "pseudo_mesh"]) == 0
    mesh = read_mesh(rest)
    assert len(mesh.faces) == len(CLOUD)
    vertices = mesh.vertices.copy()
    vertices[mesh.faces[:100].ravel()] += np.float32(2)
    write_mesh(moved, TriangleMesh(vertices, mesh.faces))
    words = ["bind", str(ball), str(rest), "--pose", str(moved), "-o", str(out), "--set", "driver=per_face"]
    assert run(words) == 0
    away = np.linalg.norm(read_cloud(out).means - CLOUD.means, axis=1)
    assert np.allclose(away[:100], 2 * np.sqrt(3), atol=1e-4) and away[100:].max() < 1e-4


def test_methods_lists_a_method_without_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing(msgspec.Struct, frozen=True):
        """There is nothing to choose."""

    plain = Method("plain", "editing", "Plain", "Does one thing.", Nothing, lambda *_: None)
    monkeypatch.setattr(registry, "find", lambda _name: plain)
    assert run(["methods", "plain"]) == 0
    assert "nothing to choose" in capsys.readouterr().out


def test_edits_take_matrices_points_other_files_and_a_place_for_the_part(ball: Path, tmp_path: Path) -> None:
    whole, rest, part, both, moved, scaled = (tmp_path / f"{n}.ply" for n in ("w", "rest", "part", "both", "m", "s"))
    cloud = read_cloud(ball)
    assert run(["edit", "separate", str(ball), "-o", str(rest), "--apart", str(part), "--box", "-2,-2,0 2,2,2"]) == 0
    assert len(read_cloud(rest)) + len(read_cloud(part)) == len(cloud) and (read_cloud(part).means[:, 2] >= 0).all()
    assert run(["edit", "join", str(rest), "-o", str(both), "--with", str(part), "--quiet"]) == 0
    assert len(read_cloud(both)) == len(cloud)
    shift = "1 0 0 5  0 1 0 0  0 0 1 0  0 0 0 1"
    assert run(["edit", "transform", str(ball), "-o", str(moved), "--matrix", shift, "--quiet"]) == 0
    assert np.allclose(read_cloud(moved).means, cloud.means + np.array([5, 0, 0]), atol=1e-5)
    command = ["edit", "set_scale", str(ball), "-o", str(scaled), "--set", "length=3", "--quiet"]
    assert run([*command, "--points", "0 0 0  0 0 1"]) == 0
    assert np.allclose(read_cloud(scaled).means, 3 * cloud.means, atol=1e-4)
    assert run([*command, "--points", "0 0 0  0 0"]) == 2
    assert run(["edit", "opacity", str(ball), "-o", str(whole), "--apart", str(part), "--quiet"]) == 1
    assert not whole.exists(), "nothing was separated, so nothing is written"
