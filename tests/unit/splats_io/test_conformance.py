"""Splat files against programs of others: theirs read by us, and ours read by them.

splat-transform (PlayCanvas), Niantic's SPZ library as Adobe builds it, gsply, usd-convert-gsplat (NVIDIA) and gsplat's
exporter. What a program reads out of a file is taken down as plain numbers (CSV, or PLY read with plyfile), so that
none of our readers stands on both sides. Every program runs once, for all files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.splats.cloud import SplatCloud
from backend.splats.io import read_splats, spz, write_splats
from backend.splats.io.content import SplatContent, turned
from backend.splats.io.gltf_document import Document
from tests.oracles.run import (
    adobe_json_of,
    cloud_in_adobe_json,
    cloud_in_csv,
    cloud_in_npz,
    cloud_in_ply,
    run_node,
    run_python,
)
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

COUNT = 300
DEGREES = range(4)

# How far two programs may differ that read the same file: by the rounding of float32.
SAME = {"means": 1e-6, "log_scales": 1e-5, "opacity": 2e-6, "rotation": 0.01, "color": 1e-5, "sh": 1e-5}
# .splat stores a rotation as q * 128 + 128; splat-transform reads it as if it were q * 127.5 + 127.5.
SAME_SPLAT = SAME | {"rotation": 1.0}

# What each format costs, as the other program reads it: half a step of its quantisation, and a hair.
EXACT = {"means": 0, "log_scales": 0, "opacity": 0, "rotation": 1e-4, "color": 0, "sh": 0}
FLOATS = {"means": 1e-6, "log_scales": 1e-6, "opacity": 3e-7, "rotation": 1e-3, "color": 1e-6, "sh": 2e-6}
COSTS = {
    "ply": EXACT,
    "compressed.ply": {  # of the range of 256 splats, in 11 / 10 / 11 bits; SH in steps of 1/32
        "means": 5e-3,
        "log_scales": 4e-3,
        "opacity": 0.51 / 255,
        "rotation": 0.3,
        "color": 0.51 / 255 * 3.6,
        "sh": 1.01 / 32,
    },
    "splat": {
        "means": 0,
        "log_scales": 1e-6,
        "opacity": 0.51 / 255,
        "rotation": 1.9,
        "color": 0.51 / 255 / 0.28209479,
        "sh": 0,
    },
    "spz": {
        "means": 1e-6,
        "log_scales": 0.501 / 16,
        "opacity": 0.51 / 255,
        "rotation": 0.28,
        "color": 0.501 / (0.15 * 255),
        "sh": 0.501 / 128,
    },
    "sog": {
        "means": 2e-4,
        "log_scales": 0.06,
        "opacity": 0.51 / 255,
        "rotation": 1.11,
        "color": 0.03,
        "sh": 0.12,
    },
}
OURS = {  # name -> the format whose cost it has
    "ours.ply": "ply",
    "ours.compressed.ply": "compressed.ply",
    "ours.splat": "splat",
    "ours.spz": "spz",
    "ours3.spz": "spz",
    "ours.sog": "sog",
    "ours/meta.json": "sog",
}
THEIRS = ("theirs.ply", "theirs.compressed.ply", "theirs.spz", "theirs3.spz", "theirs.sog", "theirs/meta.json")
SHARED = (
    "toycat.compressed.ply",
    "guitar.compressed.ply",
    "angel.sog",
    "playbot_unbundled_sog_sh2/meta.json",
    "derived/toycat_v3.spz",
    "derived/toycat_v4.spz",
    "derived/toycat_c1_sh2.ksplat",
    "derived/toycat_sh0.sog",
    "chair.splat",
    "train-1000.ply",
    "tiny/minimal.splat",
    "tiny/minimal.ksplat",
    "tiny/minimal-v2.spz",
    "tiny/minimal-v3.spz",
    "tiny/minimal-v4.spz",
)


def theirs_of(degree: int) -> tuple[str, ...]:
    """A folder only once: it holds the same pictures as the one file, and takes seconds."""
    return THEIRS if degree == 3 else THEIRS[:-1]


def truth(degree: int) -> SplatCloud:
    return made_cloud(COUNT, degree, seed=degree)


def aligned(read: SplatCloud, wanted: SplatCloud) -> SplatCloud:
    """What was read, in the order of the other cloud: some formats order splats anew."""
    _, nearest = cKDTree(read.means).query(wanted.means)
    assert len(np.unique(nearest)) == len(wanted) == len(read)
    return read.select(nearest)


def as_opencv(path: Path) -> SplatCloud:
    return turned(read_splats(path), "opencv").cloud


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each degree, with our files."""
    root = tmp_path_factory.mktemp("conformance")
    for degree in DEGREES:
        place = root / str(degree)
        (place / "ours").mkdir(parents=True)
        content = SplatContent(truth(degree))
        for name in OURS:
            if name != "ours3.spz":
                write_splats(place / name, content)
        spz.write(place / "ours3.spz", turned(content, "y_up"), version=3)
        for frame in ("opencv", "z_up", "RUF"):
            write_splats(place / f"{frame}.spz", content, frame=frame)
        write_splats(place / "ours.csv", content)
        write_splats(place / "ours.glb", content, frame="LUF")
        (place / "truth.json").write_text(adobe_json_of(content.cloud))
    return root


@pytest.fixture(scope="module")
def by_node(folder: Path) -> Path:
    """The folder, with what splat-transform and Adobe's library write, and what they read out of each file."""
    jobs: list[dict[str, object]] = []

    def transform(source: Path, target: Path, **more: object) -> None:
        jobs.append({"tool": "splat-transform", "input": source, "output": target, **more})

    for degree in DEGREES:
        place = folder / str(degree)
        for name in theirs_of(degree):
            transform(place / "ours.ply", place / name, **({"spzVersion": 3} if "3" in name else {}))
        transform(place / "ours.ply", place / "theirs.glb")
        for name in (*OURS, *theirs_of(degree)):
            transform(place / name, place / f"{name}.csv")
        for name in ("ours", "ours3", "opencv", "z_up", "RUF"):
            about = {"tool": "adobe-read", "input": place / f"{name}.spz", "output": place / f"{name}.json"}
            jobs.append({**about, "to": "RDF"})
        for version in (2, 3, 4):
            about = {"tool": "adobe-write", "input": place / "truth.json", "output": place / f"adobe{version}.spz"}
            jobs.append({**about, "version": version, "from": "RDF"})
    run_node(jobs, folder)
    return folder


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("name", OURS)
def test_splat_transform_reads_ours(by_node: Path, name: str, degree: int) -> None:
    cloud = truth(0 if name == "ours.splat" else degree)
    if name == "ours.splat":
        full = truth(degree)
        cloud = SplatCloud(full.means, full.quats, full.log_scales, full.opacity_logits, full.sh[:, :1])
    read = aligned(cloud_in_csv(by_node / str(degree) / f"{name}.csv"), cloud)
    assert_within(read, cloud, COSTS[OURS[name]])


@pytest.mark.parametrize("name, degree", [(name, d) for d in DEGREES for name in (*OURS, *theirs_of(d))])
def test_we_read_what_splat_transform_reads(by_node: Path, name: str, degree: int) -> None:
    path = by_node / str(degree) / name
    assert_within(as_opencv(path), cloud_in_csv(Path(f"{path}.csv")), SAME_SPLAT if name.endswith(".splat") else SAME)


@pytest.mark.parametrize("degree", DEGREES)
def test_our_csv_is_splat_transforms_csv(by_node: Path, degree: int) -> None:
    ours, theirs = by_node / str(degree) / "ours.csv", by_node / str(degree) / "ours.ply.csv"
    names = [set(path.read_text().partition("\n")[0].split(",")) for path in (ours, theirs)]
    assert names[0] >= names[1] - {"nx", "ny", "nz"}  # which the PLY file of theirs had, all zero
    assert_within(cloud_in_csv(ours), cloud_in_csv(theirs), EXACT | {"means": 1e-6, "log_scales": 1e-6, "sh": 1e-6})


@pytest.mark.parametrize("degree", DEGREES)
def test_our_gltf_holds_the_numbers_of_splat_transforms(by_node: Path, degree: int) -> None:
    """splat-transform takes forward in the PLY file for glTF's forward, +z; axes LUF do the same."""
    place = by_node / str(degree)
    assert_within(turned(read_splats(place / "theirs.glb", frame="LUF"), "opencv").cloud, truth(degree), FLOATS)
    ours, theirs = (Document(place / f"{name}.glb") for name in ("ours", "theirs"))
    (our_part, _), *none = ours.placed_primitives()
    (their_part, _), *others = theirs.placed_primitives()
    assert not none and not others and our_part.attributes.keys() == their_part.attributes.keys()
    assert our_part.extensions == their_part.extensions
    for name, index in their_part.attributes.items():
        accessor = theirs.description.accessors[index]
        if name == "COLOR_0":  # theirs is sRGB, which glTF does not have there
            continue
        values = theirs.array(index, accessor.type)
        mine = ours.array(our_part.attributes[name], accessor.type)
        if name.endswith(":ROTATION"):
            mine = mine * np.sign((mine * values).sum(axis=1, keepdims=True))
            values = values / np.linalg.norm(values, axis=1, keepdims=True)
        np.testing.assert_allclose(mine, values, atol=2e-6, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("name", ["ours", "ours3", "opencv", "z_up", "RUF"])
def test_adobes_library_reads_our_spz_in_every_frame(by_node: Path, name: str, degree: int) -> None:
    """ "RUF" is a mirror image; the frame stands in the file, so all come out as the same splats."""
    read = cloud_in_adobe_json(by_node / str(degree) / f"{name}.json")
    # In a turned frame each coefficient is a mixture of several rounded ones.
    assert_within(read, truth(degree), COSTS["spz"] | ({"sh": 2 * 0.501 / 128} if name == "z_up" else {}))


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("version", [2, 3, 4])
def test_we_read_the_spz_of_adobes_library(by_node: Path, version: int, degree: int) -> None:
    read = as_opencv(by_node / str(degree) / f"adobe{version}.spz")
    # Version 2 leaves out w, of which little is known where it is near 0.
    costs = COSTS["spz"] | {"means": 0.51 * 2**-12, "rotation": 0.28 if version > 2 else 14}
    assert_within(read, truth(degree), costs)


def test_we_read_the_shared_files_as_splat_transform_does(sample_data, tmp_path: Path) -> None:
    shared = sample_data("splats")
    targets = {name: tmp_path / f"{index}.ply" for index, name in enumerate(SHARED)}
    run_node(
        [{"tool": "splat-transform", "input": shared / name, "output": target} for name, target in targets.items()],
        tmp_path,
    )
    for name, target in targets.items():
        read, wanted = as_opencv(shared / name), cloud_in_ply(target)
        assert len(read) == len(wanted), name
        for cloud in (read, wanted):  # what stands for no size at all differs
            np.maximum(cloud.log_scales, -10, out=cloud.log_scales)
        same = SAME | {"rotation": 1.0 if name.endswith(".splat") else 0.05, "means": 1e-5, "opacity": 1e-4}
        assert_within(read, wanted, same)


# ---- Python packages


@pytest.fixture(scope="module")
def by_python(folder: Path) -> Path:
    jobs: list[dict[str, object]] = []
    for degree in DEGREES:
        place = folder / str(degree)
        for version in (3, 4):
            target = place / f"gsply{version}.spz"
            jobs.append({"tool": "gsply-write", "input": place / "ours.ply", "output": target, "version": version})
        jobs.append({"tool": "gsply-write", "input": place / "ours.ply", "output": place / "gsply.compressed.ply"})
        for name in ("ours.ply", "ours.compressed.ply", "opencv.spz", "ours3.spz", "ours.sog", "gsply.compressed.ply"):
            jobs.append({"tool": "gsply-read", "input": place / name, "output": place / f"{name}.npz"})
        jobs.append({"tool": "usd-convert", "input": place / "ours.ply", "output": place / "nvidia.usda"})
    run_python(jobs, folder)
    return folder


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("name", ["ours.ply", "ours.compressed.ply", "ours.sog", "opencv.spz"])
def test_gsply_reads_ours(by_python: Path, name: str, degree: int) -> None:
    """gsply knows no frames in SPZ, so it gets a file whose numbers stand as in a PLY file."""
    read = cloud_in_npz(by_python / str(degree) / f"{name}.npz")
    cost = COSTS["spz" if name == "opencv.spz" else OURS[name]]
    assert_within(aligned(read, truth(degree)), truth(degree), cost)


@pytest.mark.parametrize("degree", DEGREES)
def test_we_read_gsplys(by_python: Path, degree: int) -> None:
    place, cloud = by_python / str(degree), truth(degree)
    costs = COSTS["spz"] | {"means": 0.51 * 2**-12}
    for version in (3, 4):
        assert_within(read_splats(place / f"gsply{version}.spz", frame="opencv").cloud, cloud, costs)
    theirs = as_opencv(place / "gsply.compressed.ply")
    assert_within(theirs, cloud_in_npz(place / "gsply.compressed.ply.npz"), SAME | {"sh": 0.02, "rotation": 0.05})


@pytest.mark.parametrize("degree", DEGREES)
def test_we_read_the_usd_of_nvidias_converter(by_python: Path, degree: int) -> None:
    """It turns nothing, so the numbers are those of the PLY file."""
    pytest.importorskip("pxr", reason="needs usd-core")
    read = read_splats(by_python / str(degree) / "nvidia.usda")
    assert read.frame == "y_up"
    assert_within(read.cloud, truth(degree), FLOATS)


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("kind, suffix", [("ply", "ply"), ("splat", "splat"), ("ply_compressed", "compressed.ply")])
def test_we_read_what_gsplats_exporter_writes(tmp_path: Path, kind: str, suffix: str, degree: int) -> None:
    torch = pytest.importorskip("torch")
    from gsplat import export_splats

    cloud = truth(degree)
    sh0, rest = torch.tensor(cloud.sh[:, :1]), torch.tensor(cloud.sh[:, 1:])
    numbers = (cloud.means, cloud.log_scales, cloud.quats, cloud.opacity_logits)
    path = tmp_path / f"gsplat.{suffix}"
    export_splats(*map(torch.tensor, numbers), sh0, rest, format=kind, save_to=str(path))
    if kind == "splat":
        cloud = SplatCloud(cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh[:, :1])
    read = aligned(as_opencv(path), cloud)
    costs = COSTS[suffix]
    if kind == "splat":
        costs = costs | {"opacity": 1.01 / 255, "color": 1.01 / 255 / 0.28209479}  # it cuts instead of rounding
    assert_within(read, cloud, costs)
