"""Which splat hangs on which face of a mesh, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from backend.rigging.closest_faces import heights
from backend.rigging.drivers import Driver
from backend.rigging.fitting_faces import FaceChooser
from backend.rigging.triangle_frames import TriangleFrames
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

Far = Literal["stay", "follow"]
UNBOUND = -1
_STORED: tuple[Driver, ...] = ("per_face", "smooth")  # by number; what was stored without one is the first
_EDGES_AWAY = 2.0  # a splat may be so many mean edge lengths of its face away,
_DEVIATIONS_AWAY = 3.0  # or so many of its own standard deviations across the face,
_SIZES_AWAY = 0.05  # or this part of the mesh's diagonal: splats inside an object must not stay behind
_NEARLY = 1e-6  # so little less than 1 barycentrics may add up to
_CHUNK = 50_000  # splats between two reports


@dataclass(frozen=True)
class Binding:
    """N splats and the mesh at rest that they hang on."""

    mesh: TriangleMesh  # in the splats' frame
    faces: np.ndarray  # [N] int32; UNBOUND = the splat stays where it is
    barycentrics: np.ndarray  # [N, 3] float32, of the nearest point of the face
    heights: np.ndarray  # [N] float32, above the face's plane, against its normal negative
    rigid: np.ndarray  # [N] bool: turned with the face and never stretched, as if it were fixed to it by a rod
    keep_thickness: bool = False  # the surface keeps its thickness when it is stretched
    stretch_limit: float = 20.0  # no splat becomes longer or thinner than so many times
    driver: Driver = "smooth"  # how maps of the mesh become those of splats
    strength: np.ndarray | None = None  # [N] float32, from 0, at rest whatever the mesh does, to 1; None = 1
    carrier: np.ndarray | None = None  # [V] float32: rigid splats go as one with the vertices of so much weight
    distance: float | None = None  # world units, beyond which splats were far; None = chosen by the mesh
    far: Far = "stay"  # what became of those
    surface: np.ndarray | None = None  # [V, 3] float32, the mesh as a training has learned it at rest; None = as it is

    def __len__(self) -> int:
        return len(self.faces)

    def select(self, keep: np.ndarray) -> Binding:
        """Of the splats chosen by a bool mask or an index array."""
        return replace(
            self,
            faces=self.faces[keep],
            barycentrics=self.barycentrics[keep],
            heights=self.heights[keep],
            rigid=self.rigid[keep],
            strength=None if self.strength is None else self.strength[keep],
        )

    def fitting(self, vertices: np.ndarray) -> np.ndarray:
        """Vertices of the mesh after it was moved, [V, 3], as float32.

        Raises UserError when they are not as many as it has.
        """
        count = len(self.mesh.vertices)
        if vertices.shape != (count, 3):
            message = f"The mesh has {len(vertices):,} vertices, and the one that the splats are bound to {count:,}."
            raise UserError("bad_input", message, "Undo what changed the mesh's topology, or bind the splats again.")
        return np.ascontiguousarray(vertices, np.float32)

    def feet(self) -> np.ndarray:
        """The nearest points of the mesh, [N, 3] float64; 0 for splats that are not bound."""
        corners = self.mesh.corners[self.faces]  # the last face's for splats that are not bound
        return np.einsum("nk,nki->ni", self.barycentrics, corners) * (self.faces >= 0)[:, None]

    @property
    def learned_mesh(self) -> TriangleMesh:
        """The surface that the splats lie in, where a training has learned it; else the mesh that moves them."""
        return self.mesh if self.surface is None else replace(self.mesh, vertices=self.surface, colors=None)

    def resting(self, vertices: np.ndarray, means: np.ndarray) -> Binding:
        """The same splats on the same faces, where the mesh [V, 3] and the splats [N, 3] have come to rest.

        A surface that was learned belongs to the mesh as it was, and goes when that has moved.
        """
        mesh = replace(self.mesh, vertices=vertices)
        now = heights(means, mesh.corners[self.faces])
        surface = self.surface if np.array_equal(vertices, self.mesh.vertices) else None
        resting = np.where(self.faces >= 0, now, 0).astype(np.float32)
        return replace(self, mesh=mesh, heights=resting, surface=surface)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As arrays by name, to be stored."""
        optional = {"strength": self.strength, "carrier": self.carrier, "surface": self.surface}
        return {
            "mesh_vertices": self.mesh.vertices,
            "mesh_faces": self.mesh.faces,
            "faces": self.faces,
            "barycentrics": self.barycentrics,
            "heights": self.heights,
            "rigid": self.rigid,
            "options": np.array([self.keep_thickness, self.stretch_limit], np.float64),
            "driver": np.array([_STORED.index(self.driver)], np.int32),
            "reach": np.array([-1 if self.distance is None else self.distance, self.far == "follow"], np.float64),
            **{name: array for name, array in optional.items() if array is not None},
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Binding:
        """Raises KeyError, ValueError or IndexError for what is no binding."""
        mesh = TriangleMesh(arrays["mesh_vertices"], arrays["mesh_faces"])
        faces, options = arrays["faces"], arrays["options"]
        barycentrics, heights = arrays["barycentrics"], arrays["heights"]
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            raise ValueError("the mesh has no faces, or vertices that are no numbers")
        if faces.dtype != np.int32 or faces.ndim != 1:
            raise ValueError(f"faces must be int32 [N], got {faces.dtype} {faces.shape}")
        if len(faces) and not UNBOUND <= faces.min() <= faces.max() < len(mesh.faces):
            raise ValueError("splats hang on faces that are not there")
        if barycentrics.shape != (len(faces), 3) or heights.shape != (len(faces),):
            raise ValueError("places on faces must be [N, 3], and heights [N]")
        if options.shape != (2,) or not np.isfinite(options).all():
            raise ValueError("options must be two numbers")
        rigid = arrays.get("rigid", np.zeros(len(faces), bool))
        if rigid.shape != (len(faces),) or rigid.dtype != bool:
            raise ValueError("what is rigid must be bool [N]")
        driver = arrays.get("driver", np.zeros(1, np.int32))
        if driver.shape != (1,) or driver.dtype != np.int32 or driver[0] not in range(len(_STORED)):
            raise ValueError("what drives the splats must be a number of one that there is")
        strength, carrier = arrays.get("strength"), arrays.get("carrier")
        if strength is not None and not (_are_weights(strength, len(faces)) and (strength <= 1).all()):
            raise ValueError("strengths must be float32 [N] from 0 to 1")
        if carrier is not None and not (_are_weights(carrier, len(mesh.vertices)) and carrier.any()):
            raise ValueError("what carries far splats must be float32 [V], not negative and not all 0")
        # Where it was not stored yet, the mesh had chosen the distance as far as anybody knows.
        reach = arrays.get("reach", np.array([-1, rigid.any()], np.float64))
        if reach.shape != (2,) or not np.isfinite(reach).all():
            raise ValueError("the distance of far splats and what becomes of them must be two numbers")
        distance, far = None if reach[0] < 0 else float(reach[0]), "follow" if reach[1] else "stay"
        surface = arrays.get("surface")
        if surface is not None and not _has_places(surface, len(mesh.vertices)):
            raise ValueError("the learned surface must be float32 [V, 3] numbers")
        places = faces, barycentrics, heights, rigid
        how = bool(options[0]), float(options[1]), _STORED[driver[0]]
        return cls(mesh, *places, *how, strength, carrier, distance, far, surface)


def bind_to_mesh(
    cloud: SplatCloud,
    mesh: TriangleMesh,
    *,
    distance: float | None = None,
    far: Far = "stay",
    keep_thickness: bool = False,
    stretch_limit: float = 20.0,
    driver: Driver = "smooth",
    weights: np.ndarray | None = None,
    carrier: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Binding:
    """Hangs every splat on the face that it lies on (`fitting_faces.py`).

    distance: world units; splats farther away are far. None = two mean edge lengths of the face, three standard
    deviations of the splat across it, or a twentieth of the mesh's diagonal, whichever is most.
    far: what becomes of them: not bound, or rigid.
    keep_thickness, stretch_limit, driver: as in `Binding`.
    weights: [V] float32, 0..1, how strongly each vertex leads; a splat that none leads is not bound. None = 1.
    carrier: [V] float32, not negative: where rigid splats do not go with the nearest part of the mesh, but with these.
    Raises UserError for a mesh that nothing can hang on, and for weights that are 0 everywhere.
    """
    usable, count = faces_to_hang_on(mesh), len(cloud)
    _refuse_weightless(weights, carrier)
    nowhere = np.full(count, UNBOUND, np.int32), np.zeros((count, 3), np.float32), np.zeros(count, np.float32)
    how = {"keep_thickness": keep_thickness, "stretch_limit": stretch_limit, "driver": driver}
    binding = Binding(mesh, *nowhere, np.zeros(count, bool), **how, distance=distance, far=far)
    is_any_near = False
    candidates = np.flatnonzero(cloud.finite())
    chooser = FaceChooser(mesh, usable)
    for start in range(0, len(candidates), _CHUNK):
        chosen = candidates[start : start + _CHUNK]
        part = cloud.select(chosen)
        places = chooser.places(part)
        near = places.distances <= _limit(part, mesh, places.faces, distance)
        is_any_near |= bool(near.any())
        binding.rigid[chosen] = ~near if far == "follow" else False
        led = near | binding.rigid[chosen]
        binding.faces[chosen[led]] = places.faces[led]
        binding.barycentrics[chosen[led]] = places.barycentrics[led]
        binding.heights[chosen[led]] = places.heights[led]
        if on_progress is not None:
            on_progress(min(start + _CHUNK, len(candidates)), len(candidates))
    if not is_any_near:
        hint = "Move the mesh to the splats, or allow a larger distance."
        raise UserError("bad_input", "No splat is near enough to the mesh to hang on it.", hint)
    binding = binding if weights is None else _weakened(binding, weights)
    return replace(binding, carrier=carrier) if binding.rigid.any() else binding


def faces_to_hang_on(mesh: TriangleMesh) -> np.ndarray:
    """Indices of the faces whose motion is known. Raises UserError for a mesh that nothing can hang on."""
    refuse_broken(mesh.vertices)
    usable = np.flatnonzero(TriangleFrames(mesh, keep_thickness=False).usable)
    if not len(usable):
        raise UserError("bad_input", "The mesh has no faces with an area.", "Choose a mesh with faces.")
    return usable


def _weakened(binding: Binding, weights: np.ndarray) -> Binding:
    """As strong as the weights of the vertices are, between which barycentrics blend."""
    bound = binding.faces >= 0
    strength = np.einsum("nk,nk->n", binding.barycentrics, weights[binding.mesh.faces[binding.faces]])
    strength = np.where(bound & (strength < 1 - _NEARLY), strength, 1).astype(np.float32)
    led = bound & (strength > 0)
    if not led.any():
        raise UserError(
            "bad_input", "No splat hangs on a vertex that has a weight.", "Paint the group, or choose none."
        )
    faces = np.where(led, binding.faces, UNBOUND).astype(np.int32)
    return replace(binding, faces=faces, rigid=binding.rigid & led, strength=strength)


def _refuse_weightless(*groups: np.ndarray | None) -> None:
    for weights in groups:
        if weights is not None and not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any()):
            raise UserError(
                "bad_input", "The vertex group has no weights in this mesh.", "Choose another, or paint it."
            )


def _are_weights(array: np.ndarray, count: int) -> bool:
    right = array.dtype == np.float32 and array.shape == (count,)
    return right and bool(np.isfinite(array).all() and (array >= 0).all())


def _has_places(array: np.ndarray, count: int) -> bool:
    return array.dtype == np.float32 and array.shape == (count, 3) and bool(np.isfinite(array).all())


def refuse_broken(vertices: np.ndarray) -> None:
    """Raises UserError for vertices at which nothing can rest."""
    if not np.isfinite(vertices).all():
        raise UserError("bad_input", "The mesh has vertices that are no numbers.", "Check its modifiers.")


def _limit(cloud: SplatCloud, mesh: TriangleMesh, faces: np.ndarray, distance: float | None) -> np.ndarray:
    """How far from its face each splat may be, [N]."""
    if distance is not None:
        return np.full(len(cloud), distance)
    a, b, c = np.moveaxis(mesh.corners[faces], 1, 0)
    edges = np.stack([np.linalg.norm(b - a, axis=1), np.linalg.norm(c - b, axis=1), np.linalg.norm(a - c, axis=1)])
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    axes = axes_of_shapes(cloud.quats, cloud.log_scales)
    across = np.linalg.norm(np.einsum("nij,ni->nj", axes, normal), axis=1)
    diagonal = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    return np.maximum(np.maximum(_EDGES_AWAY * edges.mean(axis=0), _DEVIATIONS_AWAY * across), _SIZES_AWAY * diagonal)
