"""Places cameras on a sphere, a dome or a belt around what is to be captured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..protocol import errors

Array = npt.NDArray[np.float64]
Arrangement = Literal["FIBONACCI", "RINGS"]

FEWEST_VIEWS = 4  # one is held out, and the backend trains on three or more
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Orbit:
    """Where the cameras stand; angles in radians, elevation 0 = level with the centre, pi/2 = above it."""

    count: int = 60
    arrangement: Arrangement = "FIBONACCI"
    rings: int = 4
    lowest: float = math.radians(-20)
    highest: float = math.radians(75)
    margin: float = 1.1  # how much farther than where the object just fits
    jitter: float = 0.0  # 0..1: how far cameras leave their places, in distances between neighbours
    seed: int = 0


def viewpoints(orbit: Orbit, centre: Array, distance: float) -> Array:
    """World from camera of every viewpoint, [count, 4, 4] in Blender's camera axes; each looks at the centre, upright.

    The order goes from the lowest to the highest, so that every eighth, held out for testing, is spread over all.
    Raises UserError for an orbit without room for its cameras.
    """
    if orbit.count < FEWEST_VIEWS:
        raise errors.UserError(
            "bad_input",
            f"{orbit.count} views are too few for a capture.",
            f"Take {FEWEST_VIEWS} or more; 60 are usual.",
        )
    if orbit.lowest > orbit.highest:
        raise errors.UserError(
            "bad_input", "The lowest elevation is above the highest.", "Exchange the two elevations of the cameras."
        )
    elevations, azimuths = _fibonacci(orbit) if orbit.arrangement == "FIBONACCI" else _rings(orbit)
    if orbit.jitter > 0:
        random = np.random.default_rng(orbit.seed)
        area = math.tau * max(math.sin(orbit.highest) - math.sin(orbit.lowest), 1e-3)
        reach = orbit.jitter * math.sqrt(area / orbit.count) / 2
        moved = random.uniform(-reach, reach, (2, orbit.count))
        elevations = np.clip(elevations + moved[0], orbit.lowest, orbit.highest)
        azimuths = azimuths + moved[1] / np.maximum(np.cos(elevations), 0.1)
    outward = np.stack(
        [np.cos(elevations) * np.cos(azimuths), np.cos(elevations) * np.sin(azimuths), np.sin(elevations)], axis=-1
    )  # [count, 3]
    return np.stack(
        [_looking_at(centre, centre + distance * way, azimuth) for way, azimuth in zip(outward, azimuths, strict=True)]
    )


def fitting_distance(radius: float, angle_x: float, angle_y: float, margin: float = 1.0) -> float:
    """How far from its centre a ball just fits into both fields of view (radians), times `margin`."""
    return margin * max(radius, 1e-6) / math.sin(min(angle_x, angle_y, math.radians(170)) / 2)


def bounding_ball(positions: Array) -> tuple[Array, float]:
    """The centre of the points' box [3], and how far the farthest point [N, 3] is from it. Needs one point or more."""
    centre = (positions.min(axis=0) + positions.max(axis=0)) / 2
    return centre, float(np.linalg.norm(positions - centre, axis=1).max())


def _fibonacci(orbit: Orbit) -> tuple[Array, Array]:
    """A spiral whose places all have the same area around them (golden angle), [count] each."""
    low, high = math.sin(orbit.lowest), math.sin(orbit.highest)
    index = np.arange(orbit.count, dtype=np.float64)
    return np.arcsin(low + (high - low) * (index + 0.5) / orbit.count), index * _GOLDEN_ANGLE


def _rings(orbit: Orbit) -> tuple[Array, Array]:
    """Level circles at equal steps of elevation; longer circles get more of the cameras, [count] each."""
    rings = min(max(orbit.rings, 1), orbit.count)
    levels = (
        np.linspace(orbit.lowest, orbit.highest, rings) if rings > 1 else np.array([(orbit.lowest + orbit.highest) / 2])
    )
    # Where the shares of all circles up to this one end, rounded, so that the counts add up exactly.
    shares = np.cumsum(np.maximum(np.cos(levels), 0.05))
    spare = orbit.count - rings  # every ring has one at least
    counts = 1 + np.diff(np.rint(spare * shares / shares[-1]).astype(int), prepend=0)
    # Half a step of turn between neighbouring circles, so that cameras do not stand in columns.
    azimuths = [
        (np.arange(n, dtype=np.float64) + 0.5 * (ring % 2)) * math.tau / n for ring, n in enumerate(counts.tolist())
    ]
    return np.repeat(levels, counts), np.concatenate(azimuths)


def _looking_at(target: Array, place: Array, azimuth: float) -> Array:
    """A camera at `place` that looks at `target` with the horizon level, [4, 4] in Blender's camera axes."""
    backward = (place - target) / np.linalg.norm(place - target)
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])  # level, also straight above the target
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(backward, right), backward], axis=1)
    pose[:3, 3] = place
    return pose
