"""What goes into a rigging method and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.rigging.binding import Binding
from backend.splats.cloud import SplatCloud
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


@dataclass(frozen=True)
class RiggingInputs:
    """Everything a rigging method reads; none of it is changed."""

    cloud: SplatCloud
    mesh: TriangleMesh  # in the cloud's frame
    binding: Binding | None = None  # that the splats have already
    weights: np.ndarray | None = None  # [V] float32 0..1, how strongly each vertex leads; None = 1
    far_weights: np.ndarray | None = None  # [V] float32 0..1, of the vertices that far splats go with as one

    def wanted_binding(self) -> Binding:
        """Raises UserError when they have none."""
        if self.binding is None:
            raise UserError("bad_input", "These splats are not bound to a mesh.", "Bind them first.")
        return self.binding


@dataclass(frozen=True)
class RiggingResult:
    cloud: SplatCloud  # the splats that went in, in their order; then any that were added
    binding: Binding
