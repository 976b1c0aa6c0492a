"""What goes into a rigging method and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from backend.rigging.binding import Binding
from backend.splats.cloud import SplatCloud
from backend.splats.triangle_mesh import TriangleMesh


@dataclass(frozen=True)
class RiggingInputs:
    """Everything a rigging method reads; none of it is changed."""

    cloud: SplatCloud
    mesh: TriangleMesh  # at rest, in the cloud's frame


@dataclass(frozen=True)
class RiggingResult:
    """The splats stay as they are; what is new is what they hang on."""

    binding: Binding
