"""Splats without the backend: the copies that objects name are read, and drawn by Blender itself.

What follows a mesh is drawn at rest, because how it follows is known to the backend only.
"""

from __future__ import annotations

import functools
import logging
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
import msgspec

from ..core import splat_order, stored_splats, wording
from ..core.stored_splats import StoredSplats
from ..protocol import errors, things
from . import copies, current, local_drawing, objects, preferences

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)


class _Copy(msgspec.Struct, frozen=True):
    """A file as it is now; one that is written again is another copy."""

    path: Path
    changed: int
    size: int
    most: int  # splats that are read of it


class _Shown(msgspec.Struct, frozen=True):
    """A splat object of the .blend whose splats Blender can draw."""

    copy: _Copy
    is_bound: bool
    is_other_version: bool  # than the object shows


_looked_up = -1  # at which state of the scene the objects' copies were looked up; -1 = do it again
_news = 0  # rises when something else is known of the copies
_shown: dict[str, _Shown] = {}  # by the object's full name
_read: dict[_Copy, StoredSplats | things.Failed | None] = {}  # None = it is being read
_views: weakref.WeakSet[LocalView] = weakref.WeakSet()
_textures: tuple[dict[_Copy, int], local_drawing.SplatTextures] | None = None  # with the splats of each copy in them


@functools.cache
def _thread() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # Blender starts without it

    return ThreadPoolExecutor(1, thread_name_prefix="splatwright reading copies")


def mark_stale() -> None:
    """What is to be drawn may be something else, though the scene is as it was."""
    global _looked_up
    _looked_up = -1


def is_by_choice() -> bool:
    """Whether the user wants Blender to draw, also where there is a backend."""
    return preferences.drawn_by() == "BLENDER"


def is_wanted(has_picture: bool) -> bool:
    """Whether Blender draws a view. has_picture: the backend has made one for it."""
    if preferences.drawn_by() == "AUTOMATIC":
        return not (current.session().is_connected and has_picture)
    return is_by_choice()


def _may_begin() -> bool:
    """Whether copies are read. Where the backend has come meanwhile, only what was read before goes on being drawn."""
    mode = preferences.drawn_by()
    return mode == "BLENDER" or (mode == "AUTOMATIC" and not current.session().is_connected)


def is_drawing() -> bool:
    return any(view.is_drawing for view in _views)


def has_copy(object: bpy.types.Object) -> bool:
    """Whether Blender can draw the object's splats, by what is known of its copy."""
    return object.name_full in _shown


def advance(state: int) -> None:
    """Looks for the copies of the scene's splats, and has those read that are new. The tick calls it.

    state: of the scene; nothing is done as long as it is the same.
    """
    global _looked_up
    if not _may_begin():
        if _read and not is_drawing():
            _release()
        return
    if _looked_up == state:
        return
    _looked_up = state
    for copy in _look_up():
        _read[copy] = None
        current.when_done(_thread().submit(_content, copy), functools.partial(_was_read, copy))


def make_ready() -> None:
    """The same where nobody ticks: all copies have been read then. Raises UserError for one that cannot be."""
    for copy in _look_up():
        _read[copy] = _content(copy)
    for content in _read.values():
        if isinstance(content, things.Failed):
            raise errors.UserError("bad_input", content.message, content.hint)


def _look_up() -> list[_Copy]:
    """Finds out which copies the objects name. Returns those that nobody has read yet."""
    global _shown, _news
    most, found = preferences.most_splats(), dict[str, _Shown]()
    for item in filter(objects.is_splats, bpy.data.objects):
        own: Any = item.splatwright  # type: ignore[attr-defined]
        try:
            path = copies.found(item)
            status = path.stat() if path is not None else None
        except (OSError, errors.UserError):  # it may go away in this very moment
            continue
        if path is not None and status is not None:
            copy = _Copy(path, status.st_mtime_ns, status.st_size, most)
            named = Path(copies.path_of("", own.asset, own.version)).stem
            found[item.name_full] = _Shown(copy, own.mesh is not None, path.stem != named)
    if found != _shown:
        _shown = found
        _news += 1
        current.redraw()
    wanted = {shown.copy for shown in _shown.values()}
    for unused in _read.keys() - wanted:
        del _read[unused]
    return [copy for copy in wanted if copy not in _read]


def _content(copy: _Copy) -> StoredSplats | things.Failed:
    try:
        return stored_splats.read(copy.path, copy.most)
    except errors.UserError as error:
        return things.Failed.of(error)
    except MemoryError:
        message = f"'{copy.path}' does not fit into memory."
        return things.Failed(kind="out_of_memory", message=message, hint="Draw fewer splats.")


def _was_read(copy: _Copy, content: Any) -> None:
    global _news
    if copy not in _read:
        return  # nobody wants it any more
    if isinstance(content, StoredSplats | things.Failed):
        _read[copy] = content
    else:  # a mistake of ours
        _read[copy] = things.Failed(kind="mistake", message=f"'{copy.path}' could not be read.")
        current.tell(content)
    _news += 1
    current.redraw()


class _Figures(msgspec.Struct):
    """What is said about a view."""

    drawn: int = 0
    total: int = 0
    is_reading: bool = False
    at_rest: bool = False
    missing: str = ""  # an object without a copy
    other: str = ""  # an object whose copy is of another version
    trouble: str = ""


class LocalView:
    """One view that Blender draws splats in."""

    def __init__(self) -> None:
        self._looked = (-1, -1)  # at which state of the scene, and of what is known of the copies
        self._placements: list[tuple[_Copy, Any]] = []  # with world_from_object, [4, 4]
        self.needs: dict[_Copy, int] = {}  # how many splats of each copy are drawn
        self._placed: list[splat_order.Placed] = []
        self._placed_in: object = None  # the textures
        self._entries = splat_order.entries_of(())
        self._layer: local_drawing.Layer | None = None
        self._antialiased = False
        self._figures = _Figures()
        _views.add(self)

    @property
    def is_drawing(self) -> bool:
        return bool(self.needs)

    def rest(self) -> None:
        """Somebody else draws the view."""
        if self.is_drawing:
            self._looked, self.needs, self._placements, self._placed = (-1, -1), {}, [], []
            self._placed_in = self._layer = None
            self._figures = _Figures()

    def look(self, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D, state: int) -> bool:
        """At what the view shows, if something has changed since. False = Blender has nothing to draw in it.

        state: of the scene.
        """
        if self._looked != (state, _news):
            self._looked = state, _news
            self._look(depsgraph, space)
        return self.is_drawing

    def draw(self, camera: things.ViewCamera, *, as_light: bool) -> None:
        """Draws what was looked at over the active framebuffer, hidden by its depth.

        camera: of the framebuffer's size. as_light: see `overlay_drawing.draw`.
        """
        try:
            self._draw(camera, as_light)
        except (RuntimeError, MemoryError) as error:  # what Blender raises when a texture cannot be made
            log.warning("Splats were not drawn: %s", error)
            self._figures.trouble = "The graphics card has no room for the splats; draw fewer of them."

    def _draw(self, camera: things.ViewCamera, as_light: bool) -> None:
        textures = _textures_of_all()
        self._place(textures)
        surface = local_drawing.surface_depth(camera.width, camera.height)
        if self._layer is None or self._layer.size != (camera.width, camera.height):
            self._layer = local_drawing.Layer(camera.width, camera.height)
        seen = splat_order.seen_by(camera, self._placed, self._entries)
        self._layer.draw(textures, seen, camera, surface, antialiased=self._antialiased)
        self._layer.lay_over(as_light=as_light)

    def _look(self, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D) -> None:
        self._placed_in, self._antialiased = None, False
        figures, found = _Figures(), list[tuple[_Copy, Any, int]]()
        for item, matrix in objects.shown_splats(depsgraph, for_render=False, space=space):
            shown = _shown.get(item.name_full)
            content = _read.get(shown.copy) if shown is not None else None
            if shown is None:
                figures.missing = figures.missing or item.name
            elif isinstance(content, StoredSplats):
                if len(content):
                    found.append((shown.copy, matrix, len(content)))
                figures.total += content.total
                self._antialiased |= content.antialiased  # all together, as the backend draws them
                figures.at_rest |= shown.is_bound
                figures.other = figures.other or (item.name if shown.is_other_version else "")
            elif content is not None:
                figures.trouble = content.message
            else:
                figures.is_reading = True
        counts = splat_order.shares([count for _, _, count in found], preferences.most_splats())
        self._placements, self.needs = [(copy, matrix) for copy, matrix, _ in found], {}
        for (copy, _, _), count in zip(found, counts, strict=True):
            self.needs[copy] = count  # the same for all instances of it
        figures.drawn = sum(counts)
        self._figures = figures

    def _place(self, textures: local_drawing.SplatTextures) -> None:
        if self._placed_in is textures:
            return
        self._placed_in, self._placed = textures, []
        assert _textures is not None
        first = dict(zip(_textures[0], textures.first, strict=True))
        for copy, matrix in self._placements:
            content = _read[copy]
            assert isinstance(content, StoredSplats)
            self._placed.append(splat_order.Placed(content.means[: self.needs[copy]], first[copy], matrix))
        self._entries = splat_order.entries_of(self._placed)

    def notice(self) -> str:
        """What a user has to know about what Blender draws in this view; "" = it draws nothing."""
        figures = self._figures
        said: list[str] = []
        if self.needs:
            part = "" if figures.drawn == figures.total else f"{wording.count(figures.drawn)} of "
            said.append(f"Drawn by Blender: {part}{wording.splats(figures.total)}.")
        if figures.is_reading:
            said.append("Splats are being read.")
        if figures.trouble:
            said.append(figures.trouble)
        if figures.missing and (said or is_by_choice()):
            said.append(f"'{figures.missing}' is not drawn: it has no copy beside the file.")
        if figures.at_rest:
            said.append("What follows a mesh is shown at rest.")
        if figures.other:
            said.append(f"'{figures.other}' is shown as it was copied, which is another version.")
        return " ".join(said)


def _textures_of_all() -> local_drawing.SplatTextures:
    """All splats that any view needs; they are made again only when one needs more."""
    global _textures
    needs: dict[_Copy, int] = {}
    for view in _views:
        for copy, count in view.needs.items():
            if isinstance(_read.get(copy), StoredSplats):
                needs[copy] = max(count, needs.get(copy, 0))
    has = _textures[0] if _textures is not None else {}
    if _textures is None or any(has.get(copy, 0) < count for copy, count in needs.items()):
        contents = [_read[copy] for copy in needs]
        stored = [content for content in contents if isinstance(content, StoredSplats)]
        _textures = needs, local_drawing.SplatTextures(stored, list(needs.values()))
    return _textures[1]


def _release() -> None:
    global _textures, _shown
    _textures, _shown = None, {}
    _read.clear()
    mark_stale()


def forget() -> None:
    """The extension ends."""
    _release()
    local_drawing.forget()
