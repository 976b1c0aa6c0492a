"""What one viewport shows and asks for next: one request on its way, coarse while it moves, whole at rest."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import things

MOVING_PICTURE_S = 0.1  # that a picture of a moving view may take
REST_S = 0.2  # after the last movement the view counts as resting
COARSEST = 1 / 8  # pixels of a coarse picture per pixel of the view, along a side
LIVE_SHARE = 0.25  # of the time may go into pictures of a model that is in training
LIVE_A_SECOND = 10.0  # pictures at most
RETRY_S = 1.0  # after a failure
STALE_S = 3.0  # that a picture of objects that have changed since may stay
FARTHEST_TURN = math.radians(35)  # a picture that was made from farther round shows other sides of things
SOLID = 1 / 8  # alpha from which on a pixel counts as seen where depths are averaged

Array = npt.NDArray[np.float64]
_replace = msgspec.structs.replace


class Wish(msgspec.Struct, frozen=True):
    """What a view shows: its camera, of the view's own size, and the objects.

    revision: rises when the same objects look different: a job has gone on, or a pose has changed.
    """

    camera: things.ViewCamera
    objects: tuple[things.SceneObject, ...]
    revision: int = 0

    def same_place(self, other: Wish) -> bool:
        return self.camera == other.camera and self.objects == other.objects


class Ask(msgspec.Struct, frozen=True):
    """A request for a picture; scale: its pixels per pixel of the view, along a side."""

    wish: Wish
    scale: float

    @property
    def camera(self) -> things.ViewCamera:
        """The camera of the picture that is asked for."""
        return resized(self.wish.camera, self.scale)


class Pace(msgspec.Struct, frozen=True):
    """Pictures of a model in training take turns with the training; all views share one pace."""

    free_at: float = -math.inf

    def after(self, seconds: float, now: float) -> Pace:
        """seconds: that a picture took which ended now."""
        rest = max(seconds * (1 / LIVE_SHARE - 1), 1 / LIVE_A_SECOND)
        return Pace(max(self.free_at, now + rest))


class View(msgspec.Struct, frozen=True):
    """One viewport. Times are seconds of a clock that never goes back."""

    wish: Wish | None = None  # None = there is nothing to see
    moved: float = -math.inf  # when camera or objects changed
    asked: Ask | None = None  # is on its way
    shown: Ask | None = None  # what the newest picture answers
    moving_scale: float = 0.5
    not_before: float = -math.inf

    def wants(self, wish: Wish | None, now: float) -> View:
        """The view shows this now."""
        if wish is None or not any(item.visible for item in wish.objects):
            return _replace(self, wish=None, shown=None)
        if self.wish is not None and self.wish.same_place(wish):
            return _replace(self, wish=wish)
        return _replace(self, wish=wish, moved=now)

    def next(self, now: float, pace: Pace) -> Ask | None:
        """What to ask for now. None = nothing, or not yet."""
        if self.wish is None or self.asked is not None or now < self.not_before:
            return None
        is_here = self.shown is not None and self.shown.wish.same_place(self.wish)
        if now - self.moved < REST_S:
            return None if is_here else Ask(self.wish, self.moving_scale)
        if self.shown is None or not is_here or self.shown.scale < 1:
            return Ask(self.wish, 1.0)
        is_newest = self.shown.wish.revision == self.wish.revision
        return None if is_newest or now < pace.free_at else Ask(self.wish, 1.0)

    def asking(self, ask: Ask) -> View:
        return _replace(self, asked=ask)

    def answered(self, seconds: float) -> View:
        """The picture that was asked for is here; the next coarse one is as fine as this one's time allows."""
        asked = self.asked
        if asked is None:
            return self
        fit = asked.scale * math.sqrt(MOVING_PICTURE_S / max(seconds, 1e-4))
        scale = min(max(fit, COARSEST), 2 * self.moving_scale, 1.0)  # one quick picture is no proof
        shown = asked if self.wish is not None else None
        return _replace(self, asked=None, shown=shown, moving_scale=scale)

    def overtaken(self) -> View:
        """The backend answered that a newer request had come."""
        return _replace(self, asked=None)

    def failed(self, now: float) -> View:
        return _replace(self, asked=None, not_before=now + RETRY_S)

    def fits(self, camera: things.ViewCamera, now: float) -> bool:
        """Whether the newest picture may be drawn for this camera, moved as `corners` says."""
        if self.shown is None or self.wish is None:
            return False
        if self.shown.wish.objects != self.wish.objects and now - self.moved > STALE_S:
            return False
        return is_near(self.shown.wish.camera, camera)


def resized(camera: things.ViewCamera, scale: float) -> things.ViewCamera:
    """The same view on a coarser grid of pixels, of whole pixels at least."""
    if scale == 1:
        return camera
    width, height = max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
    x, y = width / camera.width, height / camera.height
    return things.ViewCamera(
        camera_from_world=camera.camera_from_world,
        fx=camera.fx * x,
        fy=camera.fy * y,
        cx=camera.cx * x,
        cy=camera.cy * y,
        width=width,
        height=height,
        near=camera.near,
        far=camera.far,
        orthographic=camera.orthographic,
    )


# ---- a picture of one camera, drawn for another


def is_near(made_for: things.ViewCamera, camera: things.ViewCamera) -> bool:
    """Whether what one camera saw is much like what the other one sees."""
    if made_for.orthographic != camera.orthographic:
        return False
    turn = float(_matrix(made_for)[2, :3] @ _matrix(camera)[2, :3])
    return turn > math.cos(FARTHEST_TURN)


def middle_depth(color: npt.NDArray[np.uint8], depth: npt.NDArray[np.float32]) -> float:
    """How far what a picture shows is away, in world units along its axis; 0 when it shows nothing.

    color: [H, W, 4]; depth: [H, W]. Every eighth pixel along a side is looked at.
    """
    seen = depth[::8, ::8][color[::8, ::8, 3] > SOLID * 255]
    return float(np.median(seen)) if seen.size else 0.0


def corners(made_for: things.ViewCamera, distance: float, camera: things.ViewCamera) -> Array:
    """Where the corners of a picture come to lie in another camera's view, [4, 4] in OpenGL's clip space.

    The picture is taken for a plane, `distance` away from the camera that it was made for: that is exact for cameras
    that only turn, and right in the middle of the scene for those that move. Order: lower left, lower right, upper
    left, upper right. With equal cameras they are the corners of the view itself.
    """
    if made_for == camera or distance <= 0:
        return np.array([[-1, -1, 0, 1], [1, -1, 0, 1], [-1, 1, 0, 1], [1, 1, 0, 1]], np.float64)
    pixels = np.array([[0, made_for.height], [made_for.width, made_for.height], [0, 0], [made_for.width, 0]])
    reach = 1.0 if made_for.orthographic else distance
    points = np.ones((4, 4))
    points[:, 0] = (pixels[:, 0] - made_for.cx) / made_for.fx * reach
    points[:, 1] = (pixels[:, 1] - made_for.cy) / made_for.fy * reach
    points[:, 2] = distance
    seen = points @ carried_over(made_for, camera).T
    w = np.ones(4) if camera.orthographic else seen[:, 2]
    x = camera.fx * seen[:, 0] + camera.cx * w  # in pixels, times w
    y = camera.fy * seen[:, 1] + camera.cy * w
    # The picture's own depths decide what hides it, so the plane itself must not be clipped by the near or far plane.
    return np.stack([2 * x / camera.width - w, w - 2 * y / camera.height, np.zeros(4), w], 1)


def carried_over(made_for: things.ViewCamera, camera: things.ViewCamera) -> Array:
    """Takes a point in the one camera's axes into the other's, [4, 4]."""
    return _matrix(camera) @ np.linalg.inv(_matrix(made_for))


def _matrix(camera: things.ViewCamera) -> Array:
    return np.reshape(np.asarray(camera.camera_from_world, np.float64), (4, 4))
