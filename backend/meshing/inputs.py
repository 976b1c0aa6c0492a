"""What goes into a meshing method and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.splats.cameras import Camera
from backend.splats.representation import Representation
from backend.splats.triangle_mesh import TriangleMesh


@dataclass(frozen=True)
class MeshingInputs:
    """Everything a meshing method reads; none of it is changed."""

    representation: Representation
    bounds: np.ndarray  # [2, 3] lowest and highest corner of what is to be meshed, in the representation's frame
    cameras: tuple[Camera, ...] = ()  # from which it was photographed; none = viewpoints are chosen around it
    device: str = "cpu"


@dataclass(frozen=True)
class MeshingResult:
    mesh: TriangleMesh  # with colours, in the representation's frame
    views: int  # it was looked at from
    voxel: float  # edge length, in the representation's units
