"""Which way splats face: the axis along which each is thinnest, which is the normal of the surface that it lies on."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.splats.representation import Splats


class SurfaceAxes:
    """Finds the shortest axes of splats, and keeps those of the last few: a view that turns asks for the same again."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._known: list[tuple[Tensor, Tensor]] = []  # what shapes them, and their axes; the last is the newest

    def of(self, splats: Splats) -> Tensor:
        """Unit directions [N, 3] in the splats' frame; which of the two is arbitrary."""
        shape = splats.covariances if splats.quats is None else splats.quats
        assert shape is not None
        found = next((pair for pair in self._known if pair[0] is shape), None)
        if found is None:
            found = shape, _axes_of(splats)
        self._known = [found, *(pair for pair in self._known if pair[0] is not shape)][: self._most]
        return found[1]


def shortest_axes(quats: Tensor, scales: Tensor) -> Tensor:
    """Unit directions [N, 3]; which of the two is arbitrary.

    quats: [N, 4] w, x, y, z of any length. scales: [N, 3].
    """
    which = scales.argmin(dim=-1)
    return turns_of(quats).gather(2, which[:, None, None].expand(-1, 3, 1))[..., 0]


def facing(normals: Tensor, sight: Tensor) -> Tensor:
    """The normals, turned round where they look along `sight`; both [..., 3]."""
    return torch.where((normals * sight).sum(-1, keepdim=True) > 0, -normals, normals)


def turns_of(quats: Tensor) -> Tensor:
    """Rotation matrices [N, 3, 3] of quaternions [N, 4] w, x, y, z of any length; columns are the splats' axes."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _axes_of(splats: Splats) -> Tensor:
    if splats.covariances is not None:
        return torch.linalg.eigh(splats.covariances)[1][..., 0]  # by rising eigenvalue
    assert splats.quats is not None and splats.scales is not None
    return shortest_axes(splats.quats, splats.scales)
