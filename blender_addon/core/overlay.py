"""What one viewport shows and asks for next: one request on its way, coarse while it moves, whole and exact at rest."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import things

MOVING_PICTURE_S = 0.07  # that the backend may take for a picture of a moving view
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
    hiders: rises when what stands in front of them may have changed: a mesh has moved, or is hidden.
    """

    camera: things.ViewCamera
    objects: tuple[things.SceneObject, ...]
    revision: int = 0
    hiders: int = 0

    def same_place(self, other: Wish) -> bool:
        return self.camera == other.camera and self.objects == other.objects


class Ask(msgspec.Struct, frozen=True):
    """A request for a picture; scale: its pixels per pixel of the view, along a side.

    is_exact: the blend stops at the scene's surface, which is sent along; such a picture is right only as long as that
    surface is. Else the picture holds all splats, and is tested against the scene's depth when it is drawn.
    """

    wish: Wish
    scale: float
    is_exact: bool = False

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
    stirred: float = -math.inf  # when what may hide the splats changed
    asked: Ask | None = None  # is on its way
    shown: Ask | None = None  # what the newest picture of all splats answers
    exact: Ask | None = None  # what the newest picture of those in front of a surface answers
    moving_scale: float = 0.5
    not_before: float = -math.inf

    def wants(self, wish: Wish | None, now: float) -> View:
        """The view shows this now."""
        if wish is None or not any(item.visible for item in wish.objects):
            return _replace(self, wish=None, shown=None, exact=None)
        before = self.wish
        moved = self.moved if before is not None and before.same_place(wish) else now
        stirred = self.stirred if before is not None and before.hiders == wish.hiders else now
        return _replace(self, wish=wish, moved=moved, stirred=stirred)

    def rests(self, now: float) -> bool:
        """Neither the view nor what may hide the splats has changed for a while."""
        return now - max(self.moved, self.stirred) >= REST_S

    def next(self, now: float, pace: Pace, *, can_be_exact: bool = False) -> Ask | None:
        """What to ask for now. None = nothing, or not yet. can_be_exact: the surface of the view can be told."""
        if self.wish is None or self.asked is not None or now < self.not_before:
            return None
        shown, exact = self._here(self.shown), self._here(self.exact)
        if now - self.moved < REST_S:
            return None if shown or exact else Ask(self.wish, self.moving_scale)
        if can_be_exact and self.rests(now):
            newest, ask = exact, Ask(self.wish, 1.0, True)
        else:
            newest, ask = shown, Ask(self.wish, 1.0)
        if newest is None or newest.scale < 1:
            return ask
        is_newest = newest.wish.revision == self.wish.revision
        return None if is_newest or now < pace.free_at else ask

    def _here(self, ask: Ask | None) -> Ask | None:
        """The picture, if it was made of what the view shows now, and is still right."""
        if ask is None or self.wish is None or not ask.wish.same_place(self.wish):
            return None
        return ask if not ask.is_exact or ask.wish.hiders == self.wish.hiders else None

    def asking(self, ask: Ask) -> View:
        return _replace(self, asked=ask)

    def answered(self, seconds: float) -> View:
        """The picture that was asked for is here; the next coarse one is as fine as this one's time allows."""
        asked = self.asked
        if asked is None:
            return self
        fit = asked.scale * math.sqrt(MOVING_PICTURE_S / max(seconds, 1e-4))
        scale = min(max(fit, COARSEST), 2 * self.moving_scale, 1.0)  # one quick picture is no proof
        view = _replace(self, asked=None, moving_scale=scale)
        if self.wish is None:
            return view
        return _replace(view, exact=asked) if asked.is_exact else _replace(view, shown=asked)

    def overtaken(self) -> View:
        """The backend answered that a newer request had come."""
        return _replace(self, asked=None)

    def failed(self, now: float) -> View:
        return _replace(self, asked=None, not_before=now + RETRY_S)

    def dropped(self, now: float) -> View:
        """The pictures cannot be drawn; others are asked for in a while."""
        return _replace(self, shown=None, exact=None, not_before=now + RETRY_S)

    def best(self, camera: things.ViewCamera, hiders: int, now: float) -> Ask | None:
        """Which of the pictures may be drawn for this camera, moved as `corners` says. None = neither.

        An exact one is drawn from where it was made only, and never when something else may hide the splats by now.
        """
        if self.wish is None:
            return None
        wanted, is_stale = self.wish.objects, now - self.moved > STALE_S
        fitting = [
            ask
            for ask in (self.exact, self.shown)
            if ask is not None
            and (ask.wish.objects == wanted or not is_stale)
            and (
                (ask.wish.camera == camera and ask.wish.hiders == hiders)
                if ask.is_exact
                else is_near(ask.wish.camera, camera)
            )
        ]
        return max(fitting, key=lambda ask: (ask.wish.objects == wanted, ask.is_exact), default=None)


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
