"""Splats of which some are shown as selected, and some not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.representation import Representation, Splats

TINT = (1.0, 0.55, 0.1)  # sRGB of what is selected
STRENGTH = 0.6  # of the tint; the rest is the splat's own colour
_SH_OF_COLOR = 0.28209479177387814  # of the constant band


class MarkedRepresentation:
    """Another representation whose selected splats are tinted and whose hidden ones are not drawn."""

    def __init__(self, shown: Representation, selected: np.ndarray, hidden: np.ndarray, device: str) -> None:
        """selected, hidden: bool [N]."""
        self.shown, self.antialiased = shown, shown.antialiased
        self._selected = torch.from_numpy(np.flatnonzero(selected)).to(device)
        self._hidden = torch.from_numpy(np.flatnonzero(hidden)).to(device)
        self._marked: tuple[Splats, Splats] | None = None  # the last ones, and what was made of them

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        plain = self.shown.splats(camera, time, appearance)
        if self._marked is None or self._marked[0] is not plain:
            self._marked = plain, self.mark(plain)
        return self._marked[1]

    def bake(self) -> SplatCloud:
        """The splats with their own colours, the hidden ones among them."""
        return self.shown.bake()

    def mark(self, plain: Splats) -> Splats:
        """The same splats in whatever colours, marked."""
        opacities = plain.opacities
        if len(self._hidden):
            opacities = opacities.index_fill(0, self._hidden, 0.0)
        return replace(plain, opacities=opacities, colors=self._tinted(plain) if len(self._selected) else plain.colors)

    def _tinted(self, plain: Splats) -> Tensor | tuple[Tensor, Tensor]:
        chosen, colors = self._selected, plain.colors
        if isinstance(colors, tuple):
            first, rest = (part.clone() for part in colors)
            rest[chosen] *= 1 - STRENGTH
            first[chosen] = self._mixed(first[chosen], is_sh=True)
            return first, rest
        tinted = colors.clone()
        if plain.sh_degree is None:
            tinted[chosen] = self._mixed(tinted[chosen], is_sh=False)
            return tinted
        tinted[chosen] *= 1 - STRENGTH
        tinted[chosen, :1] = self._mixed(colors[chosen, :1], is_sh=True)
        return tinted

    def _mixed(self, colors: Tensor, *, is_sh: bool) -> Tensor:
        """sRGB, or coefficients of the constant band: colour = 0.5 + constant * coefficient."""
        tint = torch.tensor(TINT, dtype=colors.dtype, device=colors.device)
        if is_sh:
            tint = (tint - 0.5) / _SH_OF_COLOR
        return (1 - STRENGTH) * colors + STRENGTH * tint
