"""What an asset is to everyone who draws, selects or exports it: two calls, whatever stands behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud


@dataclass(frozen=True)
class Splats:
    """Splats after activation, in the representation's own frame, on one device.

    Their shape is either quats and scales, or covariances.
    """

    means: Tensor  # [N, 3]
    quats: Tensor | None  # [N, 4] w, x, y, z of any length
    scales: Tensor | None  # [N, 3] standard deviations
    covariances: Tensor | None  # [N, 3, 3]
    opacities: Tensor  # [N] 0..1
    colors: Tensor | tuple[Tensor, Tensor]  # SH [N, K, 3], or [N, 1, 3] and [N, K - 1, 3]; [N, 3] without sh_degree
    sh_degree: int | None  # how many degrees count; None = the colours are final

    def __len__(self) -> int:
        return len(self.means)


class Representation(Protocol):
    """An asset's content. A cloud is one; splats bound to a mesh, or made by a network as they are seen, are others."""

    @property
    def antialiased(self) -> bool:
        """Whether small splats are drawn fainter and not larger (Mip-Splatting, Yu et al. 2024)."""
        ...

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        """What is there at a time, as seen by a camera given in this representation's frame.

        time: in the capture's units, 0 for what does not move. appearance: the number of a photo whose light and
        exposure are wanted, from 1; 0 = the neutral one.
        """
        ...

    def bake(self) -> SplatCloud:
        """A plain cloud that looks as nearly the same as a cloud can."""
        ...


class CloudRepresentation:
    """A finished cloud, activated once and kept on a device: the same at every time and in every light."""

    def __init__(self, cloud: SplatCloud, device: str | torch.device, *, antialiased: bool = False) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.tensor(array, dtype=torch.float32, device=device)

        self.antialiased = antialiased
        self._cloud = cloud
        self._splats = Splats(
            means=tensor(cloud.means),
            quats=tensor(cloud.quats),
            scales=tensor(cloud.log_scales).exp(),
            covariances=None,
            opacities=tensor(cloud.opacity_logits).sigmoid(),
            colors=tensor(cloud.sh),
            sh_degree=cloud.sh_degree,
        )

    @property
    def nbytes(self) -> int:
        """Memory it takes, the cloud's and the device's together."""
        cloud = self._cloud
        arrays = (cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh)
        return 2 * sum(array.nbytes for array in arrays)

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        return self._splats

    def bake(self) -> SplatCloud:
        return self._cloud
