"""USD: nothing is lost, stages and transforms are followed, and files that are not what they say."""

from __future__ import annotations

import builtins
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import read_splats, usd, write_splats
from backend.splats.io.content import SplatContent, turned
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

pxr = pytest.importorskip("pxr", reason="needs usd-core")
from pxr import Sdf, Usd, UsdGeom, UsdVol  # noqa: E402

# Sizes and opacities go through exp and sigmoid in float32, placed ones also through a matrix.
FLOATS = {"means": 0, "log_scales": 1e-6, "opacity": 3e-7, "rotation": 1e-4, "color": 0, "sh": 0}
NAMES = ["a.usd", "a.usda", "a.usdc", "a.usdz"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("degree", [0, 3])
def test_what_is_written_is_read_back(tmp_path: Path, name: str, degree: int) -> None:
    cloud = made_cloud(200, degree)
    write_splats(tmp_path / name, SplatContent(cloud, "y_up"))
    read = read_splats(tmp_path / name)
    assert_within(read.cloud, cloud, FLOATS)
    assert read.frame == "y_up" and not read.notes
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_cloud_is_a_file_too(tmp_path: Path, name: str) -> None:
    usd.write(tmp_path / name, SplatContent(made_cloud(0, 1), "y_up"))
    assert len(usd.read(tmp_path / name)) == 0


@pytest.mark.parametrize("frame", ["y_up", "z_up", "opencv", "LUF", "URB"])
def test_every_frame_stands_as_it_stood(tmp_path: Path, frame: str) -> None:
    content = SplatContent(made_cloud(50, 3), frame)
    write_splats(tmp_path / "a.usda", content, frame=frame)
    again = turned(read_splats(tmp_path / "a.usda"), frame).cloud
    assert_within(again, content.cloud, FLOATS | {"rotation": 1e-3, "sh": 2e-6, "means": 1e-6})
    up = UsdGeom.GetStageUpAxis(Usd.Stage.Open(str(tmp_path / "a.usda")))
    assert up == ("Z" if frame == "z_up" else "Y")


def test_the_prim_is_what_the_schema_asks_for(tmp_path: Path) -> None:
    cloud = made_cloud(20, 2)
    usd.write(tmp_path / "a.usda", SplatContent(cloud, "z_up"))
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    prim = UsdVol.ParticleField3DGaussianSplat(stage.GetDefaultPrim())
    assert prim
    np.testing.assert_array_equal(prim.GetPositionsAttr().Get(), cloud.means)
    quat = prim.GetOrientationsAttr().Get()[3]
    unit = cloud.quats[3] / np.linalg.norm(cloud.quats[3])
    np.testing.assert_allclose([quat.GetReal(), *quat.GetImaginary()], unit, atol=1e-6)
    assert len(prim.GetRadianceSphericalHarmonicsCoefficientsAttr().Get()) == 20 * 9
    authored = {attribute.GetName() for attribute in prim.GetPrim().GetAuthoredAttributes()}
    assert authored <= set(prim.GetPrim().GetPrimDefinition().GetPropertyNames())
    low, high = np.array(prim.GetPrim().GetAttribute("extent").Get())
    assert (low <= cloud.means.min(axis=0)).all() and (high >= cloud.means.max(axis=0)).all()


# ---- files of others

SPLATS = """
    def ParticleField3DGaussianSplat "Splats" ({api}) {{
        point3f[] positions = [(0, 0, 0), (1, 2, 3)]
        float3[] scales = [(1, 1, 1), (1, 2, 4)]
        {more}
    }}
"""


def text_file(path: Path, more: str, head: str = 'upAxis = "Y"', around: str = "{splats}") -> Path:
    splats = SPLATS.format(api="", more=more)
    path.write_text(f"#usda 1.0\n({head})\n" + around.format(splats=splats))
    return path


SH0 = (
    "int radiance:sphericalHarmonicsDegree = 0\n"
    "float3[] radiance:sphericalHarmonicsCoefficients = [(0, 0, 0), (1, 1, 1)]\n"
)


def test_transforms_of_prims_above_place_splats(tmp_path: Path) -> None:
    around = (
        (
            'def Xform "Above" {{ double3 xformOp:translate = (10, 0, 0)\n double3 xformOp:scale = (2, 2, 2)\n'
            'uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:scale"]\n {splats} }}'
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )
    path = tmp_path / "a.usda"
    path.write_text('#usda 1.0\n(upAxis = "Z")\n' + around.replace("{splats}", SPLATS.format(api="", more=SH0)))
    read = usd.read(path)
    assert read.frame == "z_up"
    np.testing.assert_allclose(read.cloud.means, [(10, 0, 0), (12, 4, 6)])
    np.testing.assert_allclose(np.exp(read.cloud.log_scales[1]), (2, 4, 8), rtol=1e-5)


def test_what_a_prim_leaves_out_has_its_plain_meaning(tmp_path: Path) -> None:
    read = usd.read(text_file(tmp_path / "a.usda", SH0)).cloud
    np.testing.assert_array_equal(read.quats, [(1, 0, 0, 0)] * 2)
    assert (read.opacity_logits > 10).all()
    plain = "int radiance:sphericalHarmonicsDegree = 0\ncolor3f[] primvars:displayColor = [(1, 0.5, 0)]"
    content = usd.read(text_file(tmp_path / "b.usda", plain))
    np.testing.assert_allclose(content.cloud.sh[:, 0] * 0.28209479 + 0.5, [(1, 0.5, 0)] * 2, atol=1e-6)
    assert "plain colours" in content.notes[0]


def test_16_bit_floats_and_units_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.usda"
    path.write_text(
        '#usda 1.0\n(metersPerUnit = 0.01)\ndef ParticleField3DGaussianSplat "S" {\n'
        "point3h[] positionsh = [(0, 0.5, 2)]\nhalf3[] scalesh = [(1, 1, 1)]\nquath[] orientationsh = [(0, 1, 0, 0)]\n"
        "half[] opacitiesh = [0.25]\nint radiance:sphericalHarmonicsDegree = 0\n"
        "half3[] radiance:sphericalHarmonicsCoefficientsh = [(1, 2, 3)]\n}"
    )
    content = usd.read(path)
    np.testing.assert_array_equal(content.cloud.means, [(0, 0.5, 2)])
    np.testing.assert_array_equal(content.cloud.quats, [(0, 1, 0, 0)])
    np.testing.assert_array_equal(content.cloud.sh, [[(1, 2, 3)]])
    assert "0.01 m" in content.notes[0]


# ---- files that are not what they say


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_splats(path)
    assert path.name in caught.value.message and "\n" not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(
    "more",
    [
        SH0 + "float[] opacities = [1]",
        SH0 + "quatf[] orientations = [(1, 0, 0, 0)]",
        SH0.replace("Degree = 0", "Degree = 1"),
        SH0.replace("Degree = 0", "Degree = 9"),
        SH0.replace("Degree = 0", "Degree = -1"),
        SH0.replace("(1, 1, 1)]", "(1, 1)]"),
        SH0 + "float3[] scales = []",
    ],
)
def test_attributes_that_do_not_fit_are_one_sentence(tmp_path: Path, more: str) -> None:
    refused(text_file(tmp_path / "a.usda", more))


@pytest.mark.parametrize("name", NAMES)
def test_broken_files_are_one_sentence(tmp_path: Path, name: str) -> None:
    usd.write(tmp_path / name, SplatContent(made_cloud(100, 1), "y_up"))
    content = (tmp_path / name).read_bytes()
    bad = tmp_path / f"b{Path(name).suffix}"
    for length in (8, 100, len(content) // 2):
        bad.write_bytes(content[:length])
        refused(bad)


def test_packages_with_packed_or_stray_parts_are_refused(tmp_path: Path) -> None:
    usd.write(tmp_path / "a.usdz", SplatContent(made_cloud(10, 0), "y_up"))
    with zipfile.ZipFile(tmp_path / "a.usdz") as package:
        layer = package.read("splats.usdc")
    for name, packing in (("../evil.usda", zipfile.ZIP_STORED), ("bomb.usda", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / "b.usdz", "w") as package:
            package.writestr("splats.usdc", layer)
            package.writestr(name, b" " * 5_000_000, packing)
        assert "outside" in (said := refused(tmp_path / "b.usdz")) or "packed" in said
    assert not (tmp_path.parent / "evil.usda").exists()


def test_stages_without_splats_are_named_for_what_they_are(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    UsdGeom.Sphere.Define(stage, Sdf.Path("/Ball"))
    stage.Save()
    assert "without splats" in refused(tmp_path / "a.usda")


def test_without_the_package_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usd.write(tmp_path / "a.usda", SplatContent(made_cloud(2, 0), "y_up"))
    whole = builtins.__import__

    def without(name: str, *rest, **named):
        if name.split(".", maxsplit=1)[0] == "pxr":
            raise ImportError(name)
        return whole(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="usd-core"):
        usd.read_here(tmp_path / "a.usda")
    with pytest.raises(UserError, match="usd-core"):
        usd.write(tmp_path / "b.usda", SplatContent(made_cloud(2, 0), "y_up"))
    assert not (tmp_path / "b.usda").exists()
