"""Vertex groups that outlast the geometry of a mesh: each new vertex weighs as much as the old one nearest to it."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils.kdtree import KDTree


class CarriedWeights:
    """What the vertex groups of a mesh object are, before its vertices go."""

    def __init__(self, object: bpy.types.Object) -> None:
        mesh: Any = object.data
        self._groups = [(group.name, group.lock_weight) for group in object.vertex_groups]
        self._active = object.vertex_groups.active_index
        self._places = KDTree(len(mesh.vertices) if self._groups else 0)
        self._weights: list[tuple[tuple[int, float], ...]] = []  # of each vertex, by number of the group
        if not self._groups:
            return
        for vertex in mesh.vertices:
            self._places.insert(vertex.co, vertex.index)
            self._weights.append(tuple((one.group, one.weight) for one in vertex.groups))
        self._places.balance()

    def give(self, object: bpy.types.Object, vertices: npt.NDArray[Any]) -> None:
        """The same groups, in the same order, to an object that has none. vertices: [V, 3], its own."""
        if not self._groups:
            return
        made = [object.vertex_groups.new(name=name) for name, _ in self._groups]
        if self._weights:
            for index, place in enumerate(np.asarray(vertices, np.float64).tolist()):
                nearest: Any = self._places.find(place)[1]
                for group, weight in self._weights[nearest]:
                    made[group].add([index], weight, "REPLACE")
        for group, (_, is_locked) in zip(made, self._groups, strict=True):
            group.lock_weight = is_locked
        object.vertex_groups.active_index = self._active
