"""Places cameras on a sphere, a dome or a belt around what is to be captured."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import errors

Array = npt.NDArray[np.float64]
Arrangement = Literal["FIBONACCI", "RINGS"]

FEWEST_VIEWS = 4  # one is held out, and the backend trains on three or more
_AT_ONCE = 20_000  # points, so that a million of them do not fill the memory
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Orbit(msgspec.Struct, frozen=True):
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


def fitting_distance(orbit: Orbit, centre: Array, points: Array, half_width: float, half_height: float) -> float:
    """How far from the centre the cameras must be so that each of them sees all points [N, 3], times the margin.

    half_width, half_height: of a picture, at a distance of 1.
    A point p, as seen from the centre, is inside a picture's right edge when dot(p, right) <= half_width * (distance -
    dot(p, backward)), which is one linear function of p for each edge of each picture; the largest value counts.
    """
    right, up, backward = viewpoints(orbit, np.zeros(3), 1.0)[:, :3, :3].transpose(2, 0, 1)  # [count, 3] each
    across, along = right / half_width, up / half_height
    edges = np.concatenate([backward + across, backward - across, backward + along, backward - along])
    parts = np.array_split(points - centre, len(points) // _AT_ONCE + 1)
    return orbit.margin * max(1e-6, *(float((part @ edges.T).max()) for part in parts))


def middle(points: Array) -> Array:
    """Of the box around the points [N, 3]; [3]. Needs one point or more."""
    return (points.min(axis=0) + points.max(axis=0)) / 2


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
