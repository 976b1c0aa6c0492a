"""Splats bound to a mesh as representations: at rest, and as a moved mesh takes them along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backend.rigging.binding import Binding
from backend.rigging.triangle_frames import TriangleFrames
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.deformation import limited_stretch, rotation_part
from backend.splats.deformed_shapes import deformed_shapes
from backend.splats.quaternions import quats_to_matrices
from backend.splats.representation import CloudRepresentation, Splats
from backend.splats.sh_rotation import rotate_sh
from backend.splats.spherical_harmonics import sh_colors
from shared_protocol.errors import UserError

_INVISIBLE = -30.0  # logit of the opacity of splats whose face collapsed


class BoundRepresentation:
    """At rest it is a plain cloud; `posed` is what follows the mesh."""

    def __init__(
        self, cloud: SplatCloud, binding: Binding, device: str | torch.device, *, antialiased: bool = False
    ) -> None:
        """Raises ValueError when the binding is that of another cloud."""
        if len(binding) != len(cloud):
            raise ValueError(f"the binding is of {len(binding)} splats and not of {len(cloud)}")
        self.cloud, self.binding, self.antialiased = cloud, binding, antialiased
        self.rest = CloudRepresentation(cloud, device, antialiased=antialiased)
        self.frames = TriangleFrames(binding.mesh, keep_thickness=binding.keep_thickness)
        self.device = torch.device(device)
        axes = quats_to_matrices(cloud.quats) * np.exp(cloud.log_scales.astype(np.float64))[:, None, :]
        self.axes = torch.tensor(axes, dtype=torch.float32, device=device)  # [N, 3, 3] standard deviations as columns

    @property
    def nbytes(self) -> int:
        """Memory it takes, the cloud's and the device's together."""
        return self.rest.nbytes + self.axes.nbytes + sum(a.nbytes for a in self.binding.to_arrays().values())

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        return self.rest.splats(camera, time, appearance)

    def bake(self) -> SplatCloud:
        return self.cloud

    def posed(self, vertices: np.ndarray) -> PosedRepresentation:
        """The splats as the moved mesh takes them along.

        vertices: [V, 3] of the bound mesh, in the splats' frame; where they are no numbers, splats are not drawn.
        Raises UserError when they are not as many as the mesh has.
        """
        count = len(self.binding.mesh.vertices)
        if vertices.shape != (count, 3):
            message = f"The mesh has {len(vertices):,} vertices, and the one that the splats are bound to {count:,}."
            raise UserError("bad_input", message, "Undo what changed the mesh's topology, or bind the splats again.")
        return PosedRepresentation(self, vertices)


class PosedRepresentation:
    """Bound splats in one pose: means by each face's affine map, covariances J C J^T, colours turned along."""

    def __init__(self, bound: BoundRepresentation, vertices: np.ndarray) -> None:
        self.antialiased = bound.antialiased
        self._bound = bound
        binding, device = bound.binding, bound.device
        jacobians, origins, collapsed = bound.frames.maps(vertices)
        self._is_bound = binding.faces >= 0  # [N]
        self._faces = binding.faces[self._is_bound]
        self._shaping = limited_stretch(jacobians, binding.stretch_limit)  # [F, 3, 3]
        self._turning = rotation_part(self._shaping)  # [F, 3, 3]
        means = bound.cloud.means.astype(np.float64)
        offsets = means[self._is_bound] - bound.frames.origins[self._faces]
        means[self._is_bound] = origins[self._faces] + np.einsum("nij,nj->ni", jacobians[self._faces], offsets)
        self._means = means.astype(np.float32)
        self._hidden = np.zeros(len(means), bool)
        self._hidden[self._is_bound] = collapsed[self._faces]
        rest = bound.rest.splats(_NO_CAMERA, 0.0, 0)
        axes = self._per_splat(self._shaping, device) @ bound.axes
        self._splats = replace(
            rest,
            means=torch.tensor(self._means, device=device),
            quats=None,
            scales=None,
            covariances=axes @ axes.transpose(1, 2),
            opacities=torch.where(torch.tensor(self._hidden, device=device), 0.0, rest.opacities),
            sh_degree=None,
        )
        self._turns = self._per_splat(self._turning, device)  # [N, 3, 3]

    @property
    def nbytes(self) -> int:
        """Memory it takes beside the splats at rest."""
        tensors = (self._splats.means, self._splats.covariances, self._splats.opacities, self._turns)
        return self._means.nbytes + sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        """Colours are final: each splat is seen along the direction from which it would be seen at rest."""
        rest = self._bound.rest.splats(camera, time, appearance)
        assert isinstance(rest.colors, Tensor) and rest.sh_degree is not None
        means = self._splats.means
        if camera.orthographic:
            along = torch.tensor(camera.forward, dtype=torch.float32, device=means.device).expand_as(means)
        else:
            along = (means.double() - torch.tensor(camera.centre, device=means.device)).float()
        directions = (along[:, None, :] @ self._turns)[:, 0]  # R^T d
        return replace(self._splats, colors=sh_colors(rest.sh_degree, directions, rest.colors))

    def bake(self) -> SplatCloud:
        """Exact: shapes from the singular values, SH coefficients turned."""
        cloud, chosen = self._bound.cloud, self._is_bound
        quats, log_scales, sh = cloud.quats.copy(), cloud.log_scales.copy(), cloud.sh.copy()
        quats[chosen], log_scales[chosen] = deformed_shapes(
            cloud.quats[chosen], cloud.log_scales[chosen], self._shaping[self._faces]
        )
        sh[chosen] = rotate_sh(cloud.sh[chosen], self._turning[self._faces])
        logits = np.where(self._hidden, np.float32(_INVISIBLE), cloud.opacity_logits).astype(np.float32)
        return SplatCloud(self._means.copy(), quats, log_scales, logits, sh)

    def _per_splat(self, of_faces: np.ndarray, device: torch.device) -> Tensor:
        """[F, 3, 3] -> [N, 3, 3] float32; the identity for splats that are not bound."""
        matrices = np.broadcast_to(np.eye(3, dtype=np.float32), (len(self._is_bound), 3, 3)).copy()
        matrices[self._is_bound] = of_faces[self._faces]
        return torch.tensor(matrices, device=device)


_NO_CAMERA = Camera(np.eye(4), 1.0, 1.0, 0.5, 0.5, 1, 1)  # a cloud looks the same to all
