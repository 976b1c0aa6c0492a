"""Turns a request for a picture into a picture: finds the assets, draws them together, packs the pixels."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor

from backend.jobs.bindings import stored_binding
from backend.jobs.device import DeviceKind
from backend.jobs.live import LiveAssets
from backend.jobs.poses import Pose, Poses
from backend.rigging.bound import BoundRepresentation
from backend.rigging.quality import BindingQuality
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.marked import MarkedRepresentation
from backend.splats.rendering import Drawing, SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation, Representation
from backend.splats.surface_axes import SurfaceAxes
from backend.splats.surface_colors import in_depth, in_normals, visible_range
from backend.splats.surface_depth import surface_depth_samples
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.selections import SelectionStore
from shared_protocol import things
from shared_protocol.errors import UserError
from shared_protocol.messages import Picture, PoseMesh, Render

_Kept = CloudRepresentation | BoundRepresentation
_CACHE_BYTES = 2 * 2**30
_MOST_OBJECTS = 10_000
_MOST_MARKED = 4  # objects with selected or hidden splats whose colours are kept


class RenderService:
    """`draw` is called on one thread at a time, which the render lane sees to."""

    def __init__(self, assets: AssetStore, selections: SelectionStore, live: LiveAssets, device: DeviceKind) -> None:
        self._assets, self._selections, self._live, self._device = assets, selections, live, device
        self._cache = _RepresentationCache(_CACHE_BYTES)
        self._poses = Poses()
        self._marked: OrderedDict[tuple[object, ...], MarkedRepresentation] = OrderedDict()  # that were drawn last
        self._axes = SurfaceAxes()

    def pose(self, wish: PoseMesh) -> None:
        """Raises UserError when the version is not bound to a mesh of so many vertices."""
        card = self._assets.version(wish.asset, wish.version)
        if not card.bound_vertices:
            raise UserError("bad_input", "These splats are not bound to a mesh.", "Bind them first.")
        if len(wish.vertices) != card.bound_vertices:
            count = f"{len(wish.vertices):,} vertices, and the one that the splats are bound to {card.bound_vertices:,}"
            hint = "Undo what changed the mesh's topology, or bind the splats again."
            raise UserError("bad_input", f"The mesh has {count}.", hint, "splatwright.bind_again")
        self._poses.put(wish.pose, Pose(card.asset, card.id, wish.vertices))

    def posed_vertices(self, name: str, card: VersionCard) -> np.ndarray:
        """Where the pose has the vertices of the version's mesh, [V, 3].

        Raises UserError when it is unknown, or that of another version.
        """
        return self._pose_of(name, card).vertices

    def check(self, request: Render) -> None:
        """Raises UserError at once for what cannot be drawn."""
        if len(request.objects) > _MOST_OBJECTS:
            raise UserError("bad_input", f"At most {_MOST_OBJECTS} objects can be drawn at once.")
        for item in request.objects:
            if item.visible and not self._is_live(item):
                card = self._assets.version(item.asset, item.version)
                if item.pose:
                    self._pose_of(item.pose, card)
                for selection in (item.selection, item.hidden):
                    self._selections.read(card, selection)

    def draw(self, request: Render) -> Picture:
        start = time.perf_counter()
        wanted = request.camera
        camera = Camera(
            camera_from_world=np.array(wanted.camera_from_world, np.float64).reshape(4, 4),
            fx=wanted.fx,
            fy=wanted.fy,
            cx=wanted.cx,
            cy=wanted.cy,
            width=wanted.width,
            height=wanted.height,
            orthographic=wanted.orthographic,
        )
        drawing = draw_scene(
            self._objects(request, camera),
            camera,
            device=self._device,
            near=wanted.near,
            far=wanted.far,
            time=request.time,
            appearance=request.appearance,
            antialiased=request.antialiased,
            depth=request.depth,
            spread=request.spread,
            surface_depth=_surface(request, camera),
        )
        color = _packed(drawing, request.pixels)
        depth, spread = (None if values is None else _own(values) for values in (drawing.depth, drawing.spread))
        return Picture(color=color, depth=depth, spread=spread, seconds=time.perf_counter() - start)

    def cloud(self, card: VersionCard) -> SplatCloud:
        """A version's splats, at rest; they are kept for what is drawn or asked next."""
        return (self._cache.find(card.asset, card.id) or self._read(card)).bake()

    def forget(self, asset: str) -> None:
        """The asset was removed."""
        self._cache.forget(asset)
        self._poses.forget(asset)

    def _objects(self, request: Render, camera: Camera) -> list[SceneObject]:
        """In the colours that are wanted; greys of depth mean the same for all objects."""
        items = [item for item in request.objects if item.visible]
        objects = [
            SceneObject(self._representation(item), np.array(item.world_from_object, np.float64).reshape(4, 4))
            for item in items
        ]
        in_grey = [found for found, item in zip(objects, items, strict=True) if item.colors == "depth"]
        near, time = request.camera.near, request.time
        shown = visible_range(in_grey, camera, device=self._device, near=near, time=time) if in_grey else None
        for place, item in enumerate(items):
            if item.colors == "normals":
                # What is being trained is changed where it lies, so that nothing of it can be kept.
                axes = SurfaceAxes() if self._is_live(item) else self._axes
                objects[place] = in_normals(objects[place], axes)
            elif shown is not None and item.colors == "depth":
                objects[place] = in_depth(objects[place], camera, shown)
        return objects

    def _is_live(self, item: things.SceneObject) -> bool:
        return not item.version and self._live.find(item.asset) is not None

    def _representation(self, item: things.SceneObject) -> Representation:
        live = None if item.version else self._live.find(item.asset)
        if live is not None:
            return live.representation
        card = self._assets.version(item.asset, item.version)
        shown = self._unmarked(item, card)
        return self._mark(item, card, shown) if item.selection or item.hidden else shown

    def _mark(self, item: things.SceneObject, card: VersionCard, shown: Representation) -> MarkedRepresentation:
        """The last few are kept, because their colours are worked out once."""
        key = (id(shown), item.selection, item.hidden)
        known = self._marked.pop(key, None)
        if known is None or known.shown is not shown:
            selected, hidden = (self._selections.read(card, name) for name in (item.selection, item.hidden))
            known = MarkedRepresentation(shown, selected, hidden, self._device)
        self._marked[key] = known
        while len(self._marked) > _MOST_MARKED:
            self._marked.popitem(last=False)
        return known

    def _unmarked(self, item: things.SceneObject, card: VersionCard) -> Representation:
        known = self._cache.find(card.asset, card.id) or self._read(card)
        if not isinstance(known, BoundRepresentation):
            return known
        pose = self._pose_of(item.pose, card) if item.pose else None
        if item.colors == "binding":
            return BindingQuality(known) if pose is None else pose.quality_of(known)
        return known if pose is None else pose.of(known)

    def _read(self, card: VersionCard) -> _Kept:
        cloud, binding = self._assets.read(card), stored_binding(self._assets, card)
        if binding is None:
            read = CloudRepresentation(cloud, self._device, antialiased=card.antialiased)
        else:
            read = BoundRepresentation(cloud, binding, self._device, antialiased=card.antialiased)
        self._cache.put(card.asset, card.id, read)
        return read

    def _pose_of(self, name: str, card: VersionCard) -> Pose:
        """Raises UserError when it is unknown, or that of another version."""
        pose = self._poses.find(name)
        if (pose.asset, pose.version) != (card.asset, card.id):
            message = f"The pose '{name}' is that of another version."
            raise UserError("not_found", message, "Say where its mesh is now.")
        return pose


class _RepresentationCache:
    """The clouds that were drawn last, as many as fit."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def find(self, asset: str, version: str) -> _Kept | None:
        with self._lock:
            if (asset, version) in self._kept:
                self._kept.move_to_end((asset, version))
            return self._kept.get((asset, version))

    def put(self, asset: str, version: str, representation: _Kept) -> None:
        with self._lock:
            self._kept[asset, version] = representation
            while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > self._most:
                self._kept.popitem(last=False)

    def forget(self, asset: str) -> None:
        with self._lock:
            for key in [key for key in self._kept if key[0] == asset]:
                del self._kept[key]


def _surface(request: Render, camera: Camera) -> np.ndarray | None:
    """[H, W] or [H, W, 4] float32: the nearer of the depth and the triangles that came with the request."""
    if request.surface_vertices is None or request.surface_faces is None:
        return request.surface_depth
    near = request.camera.near
    drawn = surface_depth_samples(request.surface_vertices, request.surface_faces, camera, near=near)
    if request.surface_depth is None:
        return drawn
    return np.minimum(drawn, request.surface_depth.reshape(camera.height, camera.width, -1))


def _packed(drawing: Drawing, pixels: things.PixelType) -> np.ndarray:
    """[H, W, 4] premultiplied."""
    color = torch.cat([drawing.color, drawing.alpha[..., None]], -1)
    if pixels == "uint8":
        return _own((color.clamp(0, 1) * 255).round().to(torch.uint8))
    return _own(color.half() if pixels == "float16" else color)


def _own(values: Tensor) -> np.ndarray:
    """In C order and changed by nobody else."""
    return np.ascontiguousarray(values.contiguous().cpu().numpy())
