"""Splits splats that a pose stretches too far for one ellipsoid, at rest, so that each part follows its own face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.rigging.binding import Binding
from backend.rigging.closest_faces import Places
from backend.rigging.fitting_faces import FaceChooser
from backend.rigging.posing import SplatPoser
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes, shapes_of_axes

SPLIT_BEYOND = 2.0  # times as long
_LENGTH_OF_PART = 1.5  # as often as a splat has become longer by this, so many parts it is split into
_MOST_PARTS = 16


def split_stretched(
    cloud: SplatCloud, binding: Binding, vertices: np.ndarray, *, beyond: float
) -> tuple[SplatCloud, Binding]:
    """The cloud at rest and its binding, with parts in the place of splats whose longest axis grows too much.

    vertices: [V, 3] float32, of the moved mesh. beyond: how many times as long a splat may become and stay whole.
    The parts lie along what becomes the longest axis, and have the mass and the variance of the whole. The first takes
    the whole's place; the others come after all splats.
    """
    poser = SplatPoser(cloud, binding)
    maps = poser.maps(vertices)
    posed = poser.pose(vertices, maps)
    candidates = np.flatnonzero(poser.led(maps) & cloud.finite())
    axes = axes_of_shapes(cloud.quats[candidates], cloud.log_scales[candidates])
    _, stretched, right = np.linalg.svd(poser.jacobians(maps, posed)[candidates] @ axes)
    growth = stretched[:, 0] / np.exp(cloud.log_scales[candidates].max(axis=1, initial=-np.inf).astype(np.float64))
    chosen = growth > beyond
    if not chosen.any():
        return cloud, binding
    wholes = candidates[chosen]
    counts = np.minimum(np.ceil(growth[chosen] / _LENGTH_OF_PART), _MOST_PARTS).astype(np.int64)
    of_part = np.repeat(np.arange(len(wholes)), counts)  # [P]
    number = np.arange(len(of_part)) - np.repeat(np.cumsum(counts) - counts, counts)
    along = right[chosen, 0][of_part]  # [P, 3] in the splat's own axes
    own = axes[chosen][of_part]
    # Parts of length k / m, 2 k / m apart, have together the variance of the whole, and with opacities
    # 1 - (1 - o)^(1 / k) its mass.
    spread = np.sqrt(3 / (1 + 2 / counts[of_part] ** 2))
    place = spread * ((2 * number + 1) / counts[of_part] - 1)  # [P] standard deviations from the whole's centre
    shift = np.einsum("pij,pj->pi", own, along) * place[:, None]
    shorten = np.eye(3) - (1 - spread / counts[of_part])[:, None, None] * along[:, :, None] * along[:, None, :]
    parts = cloud.select(wholes[of_part])
    quats, log_scales = shapes_of_axes(own @ shorten)
    through = -np.logaddexp(0, parts.opacity_logits.astype(np.float64)) / spread  # log(1 - o) of the parts
    logits = np.log(np.maximum(-np.expm1(through), 1e-12)) - through
    parts = replace(
        parts,
        means=parts.means + shift.astype(np.float32),
        quats=quats,
        log_scales=log_scales,
        opacity_logits=logits.astype(np.float32),
    )
    places = FaceChooser(binding.mesh, poser.usable_faces).places(parts)
    return _put_in_place(cloud, binding, wholes, parts, places, of_part)


def _put_in_place(
    cloud: SplatCloud, binding: Binding, wholes: np.ndarray, parts: SplatCloud, places: Places, of_part: np.ndarray
) -> tuple[SplatCloud, Binding]:
    """wholes: [M] indices. parts: those of each whole, one after another. of_part: [P], the number of its whole."""
    is_first = np.diff(of_part, prepend=-1) > 0
    order = np.arange(len(cloud) + len(parts) - len(wholes))
    order[wholes] = len(cloud) + np.flatnonzero(is_first)
    order[len(cloud) :] = len(cloud) + np.flatnonzero(~is_first)
    fields = ("means", "quats", "log_scales", "opacity_logits", "sh")
    both = SplatCloud(*(np.concatenate([getattr(cloud, name), getattr(parts, name)]) for name in fields))
    bound = {
        name: np.concatenate([getattr(binding, name), getattr(places, name)])
        for name in ("faces", "barycentrics", "heights")
    }
    if binding.strength is not None:
        bound["strength"] = np.append(binding.strength, binding.strength[wholes[of_part]])
    bound["rigid"] = np.append(binding.rigid, np.zeros(len(parts), bool))  # which are not stretched, and so not split
    return both.select(order), replace(binding, **bound).select(order)
