"""Reads and writes splats in USD files: prims of the type ParticleField3DGaussianSplat, without loss.

Source: https://openusd.org/release/user_guides/schemas/usdVol/ParticleField3DGaussianSplat.html (OpenUSD 26.03).
Needs the package usd-core, which is large and so not installed with everything else.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.io.activations import logits_of, opacities_of, unit_quats
from backend.splats.io.atomic import atomic_file
from backend.splats.io.bounded import refuse_unsafe_name
from backend.splats.io.content import SMALLEST_LOG_SCALE, SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.frames import rotation_between
from backend.splats.io.isolated import read_in_process
from backend.splats.io.joined import joined
from backend.splats.moved import moved_cloud
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError

_TYPE = "ParticleField3DGaussianSplat"
_COEFFICIENTS = "radiance:sphericalHarmonicsCoefficients"
_DEGREE = "radiance:sphericalHarmonicsDegree"
_UP = {"Y": "y_up", "Z": "z_up"}  # the frame of a stage, by its up axis
_LAYERS = (b".usd", b".usda", b".usdc")
_ZIP = b"PK\x03\x04"


def read(path: Path) -> SplatContent:
    """As `read_here`, in a process of its own: the library crashes over files that are damaged."""
    return read_in_process(Path(path), "usd")


def read_here(path: Path) -> SplatContent:
    """The splats of all such prims on the stage, where their transforms place them, at the first time.

    Raises UserError when the file is damaged or holds no splats, or usd-core is not installed.
    """
    path = Path(path)
    pxr = _pxr(path)
    _refuse_unsafe_package(path)
    try:
        stage = pxr.Usd.Stage.Open(str(path))
        prims = [prim for prim in stage.Traverse(pxr.Usd.TraverseInstanceProxies()) if prim.GetTypeName() == _TYPE]
        frame = _UP.get(str(pxr.UsdGeom.GetStageUpAxis(stage)), "y_up")
        unit = pxr.UsdGeom.GetStageMetersPerUnit(stage) if pxr.UsdGeom.StageHasAuthoredMetersPerUnit(stage) else 1
        places = pxr.UsdGeom.XformCache(pxr.Usd.TimeCode.EarliestTime())
        pieces, notes = [], [f"One unit of the file is {unit:g} m; numbers are kept as they are."] * (unit != 1)
        for prim in prims:
            cloud = _cloud_of(path, prim, pxr.Usd.TimeCode.EarliestTime(), notes)
            # USD multiplies row vectors from the left.
            place = np.array(places.GetLocalToWorldTransform(prim), np.float64).T
            pieces.append(cloud if np.array_equal(place, np.eye(4)) else _placed(path, cloud, place))
    except pxr.Tf.ErrorException as error:
        raise damaged(path, "it is no whole USD file") from error
    except (TypeError, ValueError) as error:
        raise damaged(path, "its attributes are not of the kinds that splats have") from error
    if not pieces:
        message = f"'{path}' is a USD file without splats."
        raise UserError("bad_input", message, f"Splats in USD files are prims of the type {_TYPE}.")
    return SplatContent(joined(pieces), frame, notes=tuple(dict.fromkeys(notes)))


def write(path: Path, content: SplatContent) -> None:
    """Writes .usd and .usdc (binary), .usda (text) or .usdz (a package that holds a binary layer).

    Numbers in another frame than a stage can have are placed into it by a transform.
    """
    path = Path(path)
    pxr = _pxr(path)
    suffix = path.suffix.lower()
    layer = pxr.Sdf.Layer.CreateAnonymous("splats.usda" if suffix == ".usda" else "splats.usdc")
    stage = pxr.Usd.Stage.Open(layer)
    frame = content.frame if content.frame in _UP.values() else "y_up"
    pxr.UsdGeom.SetStageUpAxis(stage, "Z" if frame == "z_up" else "Y")
    pxr.UsdGeom.SetStageMetersPerUnit(stage, 1)
    prim = stage.DefinePrim("/Splats", _TYPE)
    stage.SetDefaultPrim(prim)
    if frame != content.frame:
        place = np.eye(4)
        place[:3, :3] = rotation_between(content.frame, frame).T
        pxr.UsdGeom.Xformable(prim).AddTransformOp().Set(pxr.Gf.Matrix4d(place.tolist()))
    _fill(pxr, prim, content.cloud)
    try:
        with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
            made = Path(folder, "splats.usda" if suffix == ".usda" else "splats.usdc")
            layer.Export(str(made))
            if suffix == ".usdz":
                made = _package(pxr, made)
            with atomic_file(path) as stream, made.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
    except pxr.Tf.ErrorException as error:
        message = f"'{path}' could not be written: there is no room for it in the folder for temporary files."
        raise UserError("disk_full", message, "Free some space.") from error


def _recognises(head: bytes, path: Path) -> bool:
    if head.startswith(_ZIP):
        return head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(_LAYERS)
    return head.startswith((b"PXR-USDC", b"#usda"))


def _pxr(path: Path) -> Any:
    """The library; its parts are imported by name."""
    try:
        import pxr
        from pxr import Gf, Sdf, Tf, Usd, UsdGeom, Vt  # noqa: F401  which makes them attributes of pxr
    except ImportError as error:
        message = f"'{path}' is a USD file, for which the package usd-core is not installed."
        raise UserError("unsupported", message, "Install it: pip install usd-core") from error
    return pxr


# ---- reading


def _refuse_unsafe_package(path: Path) -> None:
    """A .usdz holds its parts side by side and unpacked; anything else is not handed to the library."""
    with path.open("rb") as stream:
        if stream.read(4) != _ZIP:
            return
    try:
        with zipfile.ZipFile(path) as package:
            parts = package.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise damaged(path, "it is no whole USDZ package") from error
    for part in parts:
        refuse_unsafe_name(path, part.filename)
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size:
            raise damaged(path, f"its part '{part.filename[:80]}' is packed, which parts of a USDZ package are not")


def _cloud_of(path: Path, prim: Any, time: Any, notes: list[str]) -> SplatCloud:
    def array(name: str, width: int, count: int | None = None) -> np.ndarray | None:
        """The attribute, or its variant of 16-bit floats; None where neither has a value."""
        for variant in (name, f"{name}h"):
            value = prim.GetAttribute(variant).Get(time) if prim.HasAttribute(variant) else None
            if value is not None and len(value):
                numbers = np.array(value, np.float32).reshape(-1, width)
                if count is not None and len(numbers) != count:
                    raise damaged(path, f"its '{prim.GetPath()}' has {len(numbers):,} {name} for {count:,} splats")
                return numbers
        return None

    means = array("positions", 3)
    n = 0 if means is None else len(means)
    scales, quats, opacities = array("scales", 3, n), array("orientations", 4, n), array("opacities", 1, n)
    if n and scales is None:
        raise damaged(path, f"its '{prim.GetPath()}' has positions but no scales")
    degree = prim.GetAttribute(_DEGREE).Get(time)
    if not isinstance(degree, int) or not 0 <= degree < len(SH_COEFFICIENTS):
        raise damaged(path, f"its '{prim.GetPath()}' claims an SH degree of {degree}")
    k = SH_COEFFICIENTS[degree]
    sh = array(_COEFFICIENTS, 3, n * k)
    if sh is None:
        k, colors = 1, array("primvars:displayColor", 3)
        sh = np.zeros((n, 3)) if colors is None else np.broadcast_to((colors - 0.5) / C0, (n, 3))
        notes.append("The splats have no spherical harmonics; their plain colours are taken.")
    if n == 0 or means is None or scales is None:
        shapes = ((0, 3), (0, 4), (0, 3), (0,), (0, k, 3))
        return SplatCloud(*(np.zeros(shape, np.float32) for shape in shapes))
    if quats is None:
        quats = np.tile(np.array([0, 0, 0, 1], np.float32), (n, 1))
    logits = logits_of(np.ones(n, np.float32) if opacities is None else opacities[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.maximum(np.log(scales), np.float32(SMALLEST_LOG_SCALE))
    # In the library's memory w comes last.
    return SplatCloud(means, quats[:, (3, 0, 1, 2)], log_scales, logits, np.float32(sh).reshape(n, k, 3))


def _placed(path: Path, cloud: SplatCloud, place: np.ndarray) -> SplatCloud:
    try:
        return moved_cloud(cloud, place)
    except UserError as error:
        raise damaged(path, "a transform in it flattens the splats") from error


# ---- writing


def _fill(pxr: Any, prim: Any, cloud: SplatCloud) -> None:
    """Writes the attributes that the schema has; only by name, so that no certain version of the library is needed."""
    types, vectors = pxr.Sdf.ValueTypeNames, pxr.Vt.Vec3fArray.FromNumpy

    def put(name: str, kind: Any, value: Any) -> Any:
        attribute = prim.CreateAttribute(name, kind, custom=False)
        attribute.Set(value)
        return attribute

    scales = np.exp(cloud.log_scales)
    put("positions", types.Point3fArray, vectors(np.ascontiguousarray(cloud.means)))
    put("scales", types.Float3Array, vectors(scales))
    turns = np.ascontiguousarray(unit_quats(cloud.quats)[:, (1, 2, 3, 0)])
    put("orientations", types.QuatfArray, pxr.Vt.QuatfArray.FromNumpy(turns))
    put("opacities", types.FloatArray, pxr.Vt.FloatArray.FromNumpy(opacities_of(cloud.opacity_logits)))
    put(_DEGREE, types.Int, cloud.sh_degree)
    coefficients = put(_COEFFICIENTS, types.Float3Array, vectors(np.ascontiguousarray(cloud.sh).reshape(-1, 3)))
    coefficients.SetMetadata("elementSize", cloud.sh.shape[1])
    coefficients.SetMetadata("interpolation", "vertex")
    if len(cloud):
        reach = 3 * scales.max(axis=1, keepdims=True)
        corners = np.stack([(cloud.means - reach).min(axis=0), (cloud.means + reach).max(axis=0)])
        put("extent", types.Float3Array, vectors(corners.astype(np.float32)))


def _package(pxr: Any, layer: Path) -> Path:
    target = layer.with_name("splats.usdz")
    writer = pxr.Sdf if hasattr(pxr.Sdf, "ZipFileWriter") else pxr.Usd  # where older versions have it
    with writer.ZipFileWriter.CreateNew(str(target)) as package:
        package.AddFile(str(layer), layer.name)
    return target


FORMAT = Format(
    name="usd",
    label="USD (ParticleField3DGaussianSplat)",
    suffixes=(".usdc", ".usd", ".usda", ".usdz"),
    frame="y_up",
    sh_degree=3,
    recognises=_recognises,
    read=read,
    write=write,
    keeps_frame=True,
)
