"""Splats that a mesh's faces are the parameters of, so that training learns them through the rig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from backend.rigging.binding import Binding
from backend.rigging.face_shapes import (
    SUGAR_LAYOUTS,
    games_barycentrics,
    games_shapes,
    sugar_shapes,
    sugar_start_scales,
)
from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.quaternions import matrices_to_quats
from backend.splats.sh_basis import C0
from backend.training.posed_mesh import PosedMesh
from backend.training.representation import (
    ActiveSplats,
    MakeOptimizer,
    Optimizers,
    Parameters,
    as_array,
    finite_splats,
)

_SUGAR_THICKNESS = 1e-6  # standard deviation across the face, in camera extents
_LEAST_SCALE = 1e-30  # a face that collapsed while its vertices were learned has splats without a size


class FaceParameterisation(Protocol):
    """How splats follow from the face that each lies in, and from what is learned of them."""

    @property
    def splats_a_face(self) -> int: ...

    def start(self, corners: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The first values of its own parameters. corners: [N, 3, 3]; splats of one face come one after another."""
        ...

    def barycentrics(self, parameters: Mapping[str, Tensor], count: int) -> Tensor:
        """Where in their faces the N splats lie, [N, 3]."""
        ...

    def shapes(self, parameters: Mapping[str, Tensor], corners: Tensor) -> tuple[Tensor, Tensor]:
        """Axes [N, 3, 3], as columns, and standard deviations [N, 3]."""
        ...


@dataclass(frozen=True)
class GamesFaces:
    """GaMeS: alphas [N, 3] say where, scales [N, 1] (logarithm) how much larger a splat is than its face asks."""

    splats_a_face: int
    start_factor: float = 1.0  # of the paper's first sizes

    def start(self, corners: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        count, device = len(corners), generator.device
        return {
            "alphas": torch.rand(count, 3, generator=generator, device=device),
            "scales": torch.full((count, 1), float(np.log(self.start_factor)), device=device),
        }

    def barycentrics(self, parameters: Mapping[str, Tensor], count: int) -> Tensor:
        return games_barycentrics(parameters["alphas"])

    def shapes(self, parameters: Mapping[str, Tensor], corners: Tensor) -> tuple[Tensor, Tensor]:
        return games_shapes(corners, parameters["scales"][:, 0].exp())


@dataclass(frozen=True)
class SugarFaces:
    """SuGaR: scales [N, 2] (logarithm) and angles [N, 2], complex numbers, within the face; places are fixed."""

    splats_a_face: int  # one of SUGAR_LAYOUTS
    start_factor: float = 1.0  # of the paper's first sizes

    def start(self, corners: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        _, radius = SUGAR_LAYOUTS[self.splats_a_face]
        straight = torch.tensor([1.0, 0.0], device=generator.device)
        return {
            "angles": straight.repeat(len(corners), 1),
            "scales": sugar_start_scales(corners, self.start_factor * radius),
        }

    def barycentrics(self, parameters: Mapping[str, Tensor], count: int) -> Tensor:
        places, _ = SUGAR_LAYOUTS[self.splats_a_face]
        return torch.tensor(places, device=parameters["scales"].device).repeat(count // len(places), 1)

    def shapes(self, parameters: Mapping[str, Tensor], corners: Tensor) -> tuple[Tensor, Tensor]:
        return sugar_shapes(corners, parameters["angles"], parameters["scales"], _SUGAR_THICKNESS)


def mesh_parameters(
    mesh: PosedMesh,
    kind: FaceParameterisation,
    *,
    sh_degree: int,
    opacity: float,
    learn_vertices: bool,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The values training begins with. Colours are those of the mesh's vertices, or random where it has none."""
    of_splat = np.repeat(mesh.usable_faces, kind.splats_a_face)
    corners = mesh.vertices[mesh.faces[torch.from_numpy(of_splat).to(mesh.device)]]
    count = len(of_splat)
    own = kind.start(corners, generator)
    if mesh.mesh.colors is None:
        colors = torch.rand(count, 3, generator=generator, device=mesh.device)
    else:
        places = kind.barycentrics(own, count)
        at_corners = mesh.mesh.colors[mesh.mesh.faces[of_splat]].astype(np.float32) / 255
        colors = (places[:, :, None] * torch.tensor(at_corners, device=mesh.device)).sum(dim=1)
    values = own | {
        "opacities": torch.full((count,), float(np.log(opacity / (1 - opacity))), device=mesh.device),
        "sh0": ((colors - 0.5) / C0)[:, None, :],
        "shN": torch.zeros(count, SH_COEFFICIENTS[sh_degree] - 1, 3, device=mesh.device),
    }
    return values | {"vertices": mesh.vertices.clone()} if learn_vertices else values


class MeshSplats:
    """So many splats in every face of a mesh. What is learned belongs to the mesh at rest.

    A pose carries a splat from its foot, the point of the given mesh with its barycentrics, by its face's affine map J:
    mean' = foot' + J (mean - foot), C' = J C J^T, exactly as the bound result is shown. Where vertices are learned, the
    mean leaves its foot for the learned surface; the mesh that moves it stays the given one.
    """

    def __init__(
        self,
        mesh: PosedMesh,
        kind: FaceParameterisation,
        values: dict[str, Tensor],
        rates: dict[str, float],
        make_optimizer: MakeOptimizer,
    ) -> None:
        self.parameters: Parameters = {name: Parameter(value.contiguous()) for name, value in values.items()}
        self.optimizers: Optimizers = {name: make_optimizer(p, rates[name]) for name, p in self.parameters.items()}
        self._mesh, self._kind = mesh, kind
        of_splat = np.repeat(mesh.usable_faces, kind.splats_a_face)
        self._face = torch.from_numpy(of_splat).to(mesh.device)  # [N]
        self._corners = mesh.faces[self._face]  # [N, 3]

    def __len__(self) -> int:
        return len(self._face)

    def splats(self, pose: int | None = None) -> ActiveSplats:
        p, rest = self.parameters, self._vertices()
        places, means, axes, scales = self._at_rest()
        spread = axes * scales[:, None, :]
        opacities, turns = p["opacities"].sigmoid(), None
        if pose is not None:
            posed = self._mesh.pose(pose)
            feet = (places[:, :, None] * self._mesh.vertices[self._corners]).sum(dim=1)
            maps, turns = posed.maps[self._face], posed.turns[self._face]
            means = (places[:, :, None] * posed.vertices[self._corners]).sum(dim=1) + _product(maps, means - feet)
            spread = maps @ spread
            opacities = torch.where(posed.collapsed[self._face], 0.0, opacities)
        covariances = spread @ spread.transpose(1, 2)
        return ActiveSplats(means, None, None, opacities, (p["sh0"], p["shN"]), covariances, turns, rest)

    @torch.no_grad()
    def finite(self) -> Tensor:
        own = {name: parameter for name, parameter in self.parameters.items() if name != "vertices"}
        return finite_splats(own) & torch.isfinite(self._vertices()[self._corners]).all(dim=2).all(dim=1)

    @torch.no_grad()
    def bake(self) -> SplatCloud:
        p = self.parameters
        _, means, axes, scales = self._at_rest()
        quats = matrices_to_quats(as_array(axes)).astype(np.float32)
        log_scales = as_array(scales.clamp_min(_LEAST_SCALE).log())
        sh = torch.cat([p["sh0"], p["shN"]], dim=1)
        return SplatCloud(as_array(means), quats, log_scales, as_array(p["opacities"]), as_array(sh))

    @torch.no_grad()
    def binding(self) -> Binding:
        places, means, _, _ = self._at_rest()
        binding = self._mesh.binding(self._face.cpu().numpy(), as_array(places), self._in_capture(means))
        if "vertices" not in self.parameters:
            return binding
        learned = self._in_capture(self.parameters["vertices"]).astype(np.float32)
        # A vertex without splats has nothing to learn from, and may have become no number beside broken ones.
        known = np.isfinite(learned).all(axis=1, keepdims=True)
        return replace(binding, surface=np.where(known, learned, binding.mesh.vertices))

    def _in_capture(self, places: Tensor) -> np.ndarray:
        """From the frame of the training, float64."""
        return self._mesh.frame.origin + self._mesh.frame.extent * as_array(places).astype(np.float64)

    def _vertices(self) -> Tensor:
        return self.parameters.get("vertices", self._mesh.vertices)

    def _at_rest(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Barycentrics [N, 3], means [N, 3], axes [N, 3, 3] and standard deviations [N, 3]."""
        corners = self._vertices()[self._corners]
        places = self._kind.barycentrics(self.parameters, len(self))
        return places, (places[:, :, None] * corners).sum(dim=1), *self._kind.shapes(self.parameters, corners)


def _product(matrices: Tensor, vectors: Tensor) -> Tensor:
    """[N, 3, 3] times [N, 3] -> [N, 3]."""
    return (matrices @ vectors[:, :, None])[:, :, 0]
