"""What goes into a meshing method and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backend.meshing.color_picture import ColorPicture
from backend.splats.cameras import Camera
from backend.splats.mesh_texture import MeshTexture
from backend.splats.representation import Representation
from backend.splats.triangle_mesh import TriangleMesh


@dataclass(frozen=True)
class MeshingInputs:
    """Everything a meshing method reads; none of it is changed."""

    representation: Representation
    bounds: np.ndarray  # [2, 3] lowest and highest corner of what is to be meshed, in the representation's frame
    cameras: tuple[Camera, ...] = ()  # from which it was photographed; none = viewpoints are chosen around it
    device: str = "cpu"
    photo: Callable[[int], ColorPicture] | None = None  # reads what one of the cameras saw; None = there are none


@dataclass(frozen=True)
class MeshingResult:
    mesh: TriangleMesh  # with colours, in the representation's frame
    views: int  # it was looked at from
    voxel: float  # size of the smallest details that the method can tell, in the representation's units
    texture: MeshTexture | None = None
    covered: float | None = None  # the part of the texture's surface that a picture saw
    color_from: str | None = None  # "photos" or "splats", of the texture
