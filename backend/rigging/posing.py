"""Carries splats into a pose: the part of posing that is done once a splat."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from backend.rigging.binding import Binding
from backend.rigging.drivers import Maps, MeshDriver
from backend.rigging.rigid_motion import rigid_motion
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.partial_turns import partial_turn
from backend.splats.small_matrices import cofactors, dot, product, rows_of, sum_of, transposed, write_rows

_BLOCK = 1024  # splats that one core takes at a time
_FLAT = 0.1  # determinant of turns that were blended; below it they are opposed, and there is no turn between them
_COLUMNS, _STRETCH = 16, 9  # of the table, and the first of the stretch
_IDENTITY = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0], np.float32)  # as in `_table`
F = np.float32


@dataclass(frozen=True)
class PosedArrays:
    """N splats where a pose takes them."""

    means: np.ndarray  # [N, 3] float32
    covariances: np.ndarray  # [N, 3, 3] float32
    turns: np.ndarray  # [N, 3, 3] float32, orthogonal: colours follow it
    hidden: np.ndarray  # [N] bool: what they hang on collapsed


class SplatPoser:
    """A cloud on a mesh at rest, as the numbers that posing needs.

    A splat's foot is the mesh's nearest point to it. The foot moves with the face, and what lies around it, the splat's
    centre and its shape, by J = R S of the blended turn and the blended stretch: mean' = foot' + J (mean - foot),
    C' = J C J^T. For rigid splats S is the identity, and where the binding has a carrier, they go with that as one.
    A splat of strength w goes the share w of the way from its rest: foot and S in a straight line, R by slerp.
    """

    def __init__(self, cloud: SplatCloud, binding: Binding) -> None:
        self._driver = MeshDriver(
            binding.mesh,
            binding.driver,
            keep_thickness=binding.keep_thickness,
            stretch_limit=binding.stretch_limit,
        )
        self.faces, self._rest = binding.faces, cloud.means
        safe = np.where(self.faces >= 0, self.faces, 0)
        self._corners = np.ascontiguousarray(binding.mesh.faces[safe])  # [N, 3]
        self.rows, self._wide = self._driver.rows(safe, _widths(cloud))  # [N, 3]
        self.weights = binding.barycentrics
        self._mesh, self._rigid, self._carrier = binding.mesh, binding.rigid, binding.carrier
        self._strength = np.empty(0, np.float32) if binding.strength is None else binding.strength
        self._offsets = (cloud.means - binding.feet()).astype(np.float32)
        self._offsets[self.faces < 0] = cloud.means[self.faces < 0]
        if self._carrier is not None:
            self._offsets[self._rigid] = 0  # each is its own foot
        self._axes = axes_of_shapes(cloud.quats, cloud.log_scales).astype(np.float32)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in (self._corners, self.rows, self._offsets, self._axes))

    @property
    def usable_faces(self) -> np.ndarray:
        """Indices of the faces that splats can hang on."""
        return self._driver.usable_faces

    def maps(self, vertices: np.ndarray) -> Maps:
        return self._driver.maps(vertices, self._wide)

    def pose(self, vertices: np.ndarray, maps: Maps) -> PosedArrays:
        """vertices: [V, 3] float32; where they are no numbers, splats are hidden where they were at rest."""
        count = len(self.faces)
        posed = PosedArrays(
            np.empty((count, 3), np.float32),
            np.empty((count, 3, 3), np.float32),
            np.empty((count, 3, 3), np.float32),
            np.empty(count, bool),
        )
        is_carried, is_lost, motion = self._carried(vertices, maps.side)
        _pose(
            vertices, _table(maps), maps.collapsed, self.faces, self._corners, self.rows, self.weights, self._rigid,
            self._strength, is_carried, is_lost, motion, self._rest, self._offsets, self._axes,
            posed.means, posed.covariances, posed.turns, posed.hidden,
        )  # fmt: skip
        if posed.hidden.any():
            posed.means[posed.hidden] = self._rest[posed.hidden]
        return posed

    def _carried(self, vertices: np.ndarray, side: float) -> tuple[bool, bool, np.ndarray]:
        """Whether rigid splats have a carrier, whether it is nowhere, and its motion as [3, 4] float64."""
        if self._carrier is None:
            return False, False, np.eye(3, 4)
        found = rigid_motion(self._mesh.vertices, vertices, self._carrier, side)
        turn, shift = found or (np.eye(3), np.zeros(3))
        return True, found is None, np.column_stack([turn, shift])

    def led(self, maps: Maps) -> np.ndarray:
        """bool [N]: the splats that follow something which did not collapse."""
        return (self.faces >= 0) & ~maps.collapsed[self.faces]

    def jacobians(self, maps: Maps, posed: PosedArrays) -> np.ndarray:
        """The map of each splat, [N, 3, 3] float64; the identity for splats that follow nothing."""
        return posed.turns @ self.stretches(maps)

    def stretches(self, maps: Maps) -> np.ndarray:
        """The stretch of each splat, [N, 3, 3] float64; the identity for splats that are rigid or follow nothing."""
        stretches = np.einsum("nk,nkij->nij", self.weights.astype(np.float64), maps.stretches[self.rows])
        stretches[self._rigid | ~self.led(maps)] = np.eye(3)
        if len(self._strength):
            stretches = np.eye(3) + self._strength[:, None, None] * (stretches - np.eye(3))
        return stretches


def _widths(cloud: SplatCloud) -> np.ndarray:
    """Standard deviations [N] along the surface that a splat is flat on: the root mean square of the larger two."""
    scales = np.sort(np.exp(cloud.log_scales.astype(np.float64)), axis=1)
    return np.sqrt((scales[:, 1] ** 2 + scales[:, 2] ** 2) / 2)


def _table(maps: Maps) -> np.ndarray:
    """[M, 16] float32: turn, the six numbers of the stretch, and a 0, so that each map fills a line of the cache."""
    table = np.empty((len(maps.turns), _COLUMNS), np.float32)
    _fill_table(maps.turns, maps.stretches, table)
    return table


@parallel_kernel
def _fill_table(turns, stretches, table):  # type: ignore[no-untyped-def]
    for m in numba.prange(len(table)):  # type: ignore[attr-defined]
        place = _STRETCH
        for row in range(3):
            for column in range(3):
                table[m, 3 * row + column] = turns[m, row, column]
                if column >= row:
                    table[m, place] = stretches[m, row, column]
                    place += 1
        table[m, _COLUMNS - 1] = 0


@parallel_kernel
def _pose(  # type: ignore[no-untyped-def]
    vertices, table, collapsed, faces, corners, rows, weights, rigid,
    strength, is_carried, is_lost, motion, rest, offsets, axes,
    means, covariances, turns, hidden,
):  # fmt: skip
    count = len(faces)
    for block in numba.prange((count + _BLOCK - 1) // _BLOCK):  # type: ignore[attr-defined]
        blend = np.empty(_COLUMNS, np.float32)
        for n in range(block * _BLOCK, min((block + 1) * _BLOCK, count)):
            face = faces[n]
            x, y, z = 0.0, 0.0, 0.0
            goes_along = is_carried and face >= 0 and rigid[n]
            hidden[n] = is_lost if goes_along else face >= 0 and collapsed[face]
            if goes_along:
                for k in range(_STRETCH):
                    blend[k] = motion[k // 3, k % 3]
                x = _carried(motion[0], rest, n)
                y = _carried(motion[1], rest, n)
                z = _carried(motion[2], rest, n)
            elif face >= 0 and not hidden[n]:
                a, b, c = rows[n, 0], rows[n, 1], rows[n, 2]
                of_a, of_b, of_c = weights[n, 0], weights[n, 1], weights[n, 2]
                for k in range(_COLUMNS):
                    blend[k] = table[a, k] if a == b else of_a * table[a, k] + of_b * table[b, k] + of_c * table[c, k]
                for corner in range(3):
                    weight, vertex = np.float64(weights[n, corner]), corners[n, corner]
                    x += weight * vertices[vertex, 0]
                    y += weight * vertices[vertex, 1]
                    z += weight * vertices[vertex, 2]
            else:
                for k in range(_STRETCH):
                    blend[k] = _IDENTITY[k]
            if face < 0 or hidden[n] or rigid[n]:
                for k in range(_STRETCH, _COLUMNS):
                    blend[k] = _IDENTITY[k]
            turn = _straight(_straight(
                ((blend[0], blend[1], blend[2]), (blend[3], blend[4], blend[5]), (blend[6], blend[7], blend[8]))
            ))  # fmt: skip
            share = F(strength[n]) if len(strength) else F(1)
            if share < 1 and face >= 0 and not hidden[n]:
                turn = partial_turn(turn, share)
                for k in range(_STRETCH, _COLUMNS):
                    blend[k] = _IDENTITY[k] + share * (blend[k] - _IDENTITY[k])
                x = _on_the_way(x, rest[n, 0] - offsets[n, 0], share)
                y = _on_the_way(y, rest[n, 1] - offsets[n, 1], share)
                z = _on_the_way(z, rest[n, 2] - offsets[n, 2], share)
            map = product(turn, (
                (blend[9], blend[10], blend[11]), (blend[10], blend[12], blend[13]), (blend[11], blend[13], blend[14])
            ))  # fmt: skip
            offset = offsets[n, 0], offsets[n, 1], offsets[n, 2]
            means[n, 0], means[n, 1], means[n, 2] = (
                x + dot(map[0], offset), y + dot(map[1], offset), z + dot(map[2], offset)
            )  # fmt: skip
            carried = product(map, rows_of(axes, n))
            write_rows(covariances, n, product(carried, transposed(carried)))
            write_rows(turns, n, turn)


@device_function
def _carried(row, rest, n):  # type: ignore[no-untyped-def]
    """A coordinate of the n-th splat after a motion, of which it is a row."""
    return row[0] * rest[n, 0] + row[1] * rest[n, 1] + row[2] * rest[n, 2] + row[3]


@device_function
def _on_the_way(there, here, share):  # type: ignore[no-untyped-def]
    return here + np.float64(share) * (there - here)


@device_function
def _straight(turn):  # type: ignore[no-untyped-def]
    """One Newton step towards the nearest orthogonal matrix: the mean of turns that differ little is nearly one."""
    others = cofactors(turn)
    determinant = dot(turn[0], others[0])
    is_turn = abs(determinant) > F(_FLAT)
    own, half = F(0.5) if is_turn else F(1), F(0.5) / determinant if is_turn else F(0)
    return sum_of(own, turn, half, others)
