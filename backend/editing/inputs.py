"""What goes into an editing method and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.editing.box import Box
from backend.splats.cloud import SplatCloud
from shared_protocol.errors import UserError


@dataclass(frozen=True)
class EditingInputs:
    """Everything an editing method reads; none of it is changed."""

    cloud: SplatCloud
    box: Box | None = None

    def wanted_box(self) -> Box:
        """Raises UserError when none was given."""
        if self.box is None:
            raise UserError("bad_input", "This edit needs a box.", "Choose a box object, or give --box.")
        return self.box


@dataclass(frozen=True)
class EditingResult:
    """The splats that an edit leaves, and which of the old ones they are."""

    cloud: SplatCloud  # first the kept splats in their old order, then new ones
    keep: np.ndarray  # bool [N], of the splats that went in
