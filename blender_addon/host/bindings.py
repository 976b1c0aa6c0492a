"""Splats that hang on a mesh: where its vertices are now goes to the backend, and pictures are drawn in that pose."""

from __future__ import annotations

import secrets
import time
from typing import Any

import bpy
import msgspec
import numpy as np

from ..core import bounds, events
from ..link.backend_link import BackendLink
from ..protocol import errors, messages, things
from . import current, meshes, objects, versions

_CLIENT = secrets.token_hex(6)  # nobody else's poses have our names
_NAMES = 4  # taken in turn, so that a pose is not replaced while a picture of it is on its way
_MODIFIER = "Splatwright Mesh"
POSE_S = 20.0
_BROKEN = "The mesh has vertices that are no numbers; splats that hang on them are hidden. Check its modifiers."


class _Bound(msgspec.Struct):
    """What is known of one object's pose."""

    sent: messages.PoseMesh | None = None  # the newest one that the backend was told
    known: messages.PoseMesh | None = None  # the newest one that it has answered
    is_asking: bool = False
    told: int = 0
    topology: str = ""  # of the mesh, where it is another one than it was bound with
    since: float = 0.0  # the mesh has had that topology, on the clock of `time.monotonic`
    trouble: str = ""


_bound: dict[int, _Bound] = {}  # by the object's session_uid
_has_answer = False  # a pose is known that `follow` has not been called since
_unsure: set[tuple[str, str]] = set()  # assets and versions of which nobody has said yet whether they are bound
_being_bound: set[str] = set()  # assets whose jobs had not ended when `follow` was called


def pose_of(object: bpy.types.Object) -> str:
    """The name of the pose in which the viewport draws the object; "" = at rest."""
    known = _bound[object.session_uid].known if object.session_uid in _bound else None
    if known is None or known.version != objects.shown_version(object):
        return ""
    return known.pose


def trouble_of(object: bpy.types.Object) -> str:
    """One sentence when the object cannot follow its mesh; else ""."""
    return _bound[object.session_uid].trouble if object.session_uid in _bound else ""


def with_another_topology(seconds: float) -> list[tuple[bpy.types.Object, str]]:
    """Splats whose mesh has had another topology than they were bound with for so long, and which one that is."""
    until = time.monotonic() - seconds
    found = {key: state.topology for key, state in _bound.items() if state.topology and state.since <= until}
    if not found:
        return []
    return [(item, found[item.session_uid]) for item in bpy.data.objects if item.session_uid in found]


def say_trouble(object: bpy.types.Object, trouble: str) -> None:
    """Why the object cannot follow its mesh, as long as the mesh stays as it is."""
    if object.session_uid in _bound:
        _bound[object.session_uid].trouble = trouble
        current.redraw()


def has_news() -> bool:
    """Whether objects look different, or meshes have to be looked at again, although the scene has not changed."""
    return (
        _has_answer
        or any(versions.find(*version) is not None for version in _unsure)
        or not all(map(_is_being_bound, _being_bound))
    )


def follow(depsgraph: bpy.types.Depsgraph) -> None:
    """Tells the backend the poses that have changed; `pose_of` knows them when it has answered. Main thread."""
    global _has_answer
    _has_answer = False
    _unsure.clear()
    _being_bound.clear()
    link = current.link()
    if link is None:
        return
    scene: Any = depsgraph.scene
    for object in objects.splat_objects(scene.original):
        if may_follow(object):
            asset, version = _shown(object)
            versions.want(asset)
            if versions.find(asset, version) is None:
                _unsure.add((asset, version))
        mesh = driver_of(object)
        if mesh is None or object.name not in depsgraph.objects:
            _bound.pop(object.session_uid, None)
            objects.take_pose(object, None)
            continue
        state = _bound.setdefault(object.session_uid, _Bound())
        if state.is_asking:  # what has changed since is seen by the next call
            continue
        asset = object.splatwright.asset  # type: ignore[attr-defined]
        if _is_being_bound(asset):
            _being_bound.add(asset)
            continue
        vertices, topology = meshes.positions_and_topology(mesh, depsgraph)
        if _has_another_topology(object, mesh, state, len(vertices), topology):
            continue
        pose = _pose(object, mesh, depsgraph, f"{object.session_uid}/{state.told % _NAMES}", vertices)
        if state.sent is None or not _is_same(pose, state.sent):
            _tell(link, object, state, pose)


def driver_of(object: bpy.types.Object) -> bpy.types.Object | None:
    """The mesh that the object follows: its version must be bound. None = it stands still. Any thread."""
    properties: Any = object.splatwright  # type: ignore[attr-defined]
    if not may_follow(object):
        return None
    info = versions.find(*_shown(object))
    return properties.mesh if info is not None and info.bound_vertices else None


def may_follow(object: bpy.types.Object) -> bool:
    """Whether the object has a mesh to follow, if its version is bound, which `versions` knows."""
    properties: Any = object.splatwright  # type: ignore[attr-defined]
    return properties.mesh is not None and properties.asset in current.session().assets


def depend_on_mesh(object: Any) -> None:
    """Lets Blender know that the object looks different when its mesh is deformed.

    Else Blender would leave a mesh that is hidden as it was, and it is hidden where its splats are shown. A modifier
    that transfers nothing says so, and changes nothing.
    """
    mesh, modifier = object.splatwright.mesh, object.modifiers.get(_MODIFIER)
    if mesh is None and modifier is not None:
        object.modifiers.remove(modifier)
    elif mesh is not None:
        modifier = modifier or object.modifiers.new(_MODIFIER, "DATA_TRANSFER")
        modifier.object, modifier.use_object_transform, modifier.show_expanded = mesh, False, False


def pose_for_render(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph, link: BackendLink) -> str:
    """Tells the backend the pose of a frame that is rendered, and waits for it. Any thread.

    Returns the pose's name, "" where the object stands still. Raises UserError.
    """
    pose = pose_now(object, depsgraph, f"{object.session_uid}/render")
    if pose is None:
        return ""
    link.request(pose, messages.Done, POSE_S)
    return pose.pose


def pose_now(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph, name: str) -> messages.PoseMesh | None:
    """What to tell the backend of the pose that the object's mesh has. None = the object stands still. Any thread."""
    mesh = driver_of(object)
    return None if mesh is None else _pose(object, mesh, depsgraph, name)


def forget() -> None:
    """The backend has forgotten the poses: they are told again."""
    _bound.clear()


def _shown(object: Any) -> tuple[str, str]:
    """The asset, which the backend knows, and the version of it that is seen."""
    asset = object.splatwright.asset
    return asset, objects.shown_version(object) or current.session().assets[asset].head


def _is_being_bound(asset: str) -> bool:
    """What follows then is what the job makes."""
    job = current.session().job_of_asset(asset)
    return job is not None and job.state.category == "rigging"


def _has_another_topology(object: Any, mesh: bpy.types.Object, state: _Bound, count: int, topology: str) -> bool:
    """Whether the binding is to other vertices or faces than the mesh has now; says so once for each topology."""
    own = object.splatwright
    info = versions.find(*_shown(object))
    if info is None or (count == info.bound_vertices and own.mesh_topology in ("", topology)):
        if state.topology:
            state.topology = state.trouble = ""
        return False
    if topology != state.topology:
        what = "faces" if count == info.bound_vertices else "vertices"
        message = f"'{mesh.name}' has other {what} than the splats were bound to."
        error = errors.UserError("bad_input", message, "Bind again, or undo what changed it.", "splatwright.bind_again")
        state.topology, state.since, state.trouble = topology, time.monotonic(), message
        if not own.rebinds:
            current.tell(error)
    return True


def _pose(
    object: bpy.types.Object,
    mesh: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    name: str,
    of_mesh: np.ndarray | None = None,
) -> messages.PoseMesh:
    """of_mesh: [V, 3], its vertices in its own frame, where they have been read already."""
    of_mesh = meshes.positions(mesh, depsgraph) if of_mesh is None else of_mesh
    asset_from_world = np.linalg.pinv(np.array(object.evaluated_get(depsgraph).matrix_world, np.float64))
    world_from_mesh = np.array(mesh.evaluated_get(depsgraph).matrix_world, np.float64)
    matrix = asset_from_world @ world_from_mesh
    vertices = of_mesh @ matrix[:3, :3].T + matrix[:3, 3]  # [V, 3]
    return messages.PoseMesh(
        pose=f"{_CLIENT}/{name}",
        asset=object.splatwright.asset,  # type: ignore[attr-defined]
        version=objects.shown_version(object),
        vertices=np.ascontiguousarray(vertices, np.float32),
    )


def _is_same(pose: messages.PoseMesh, other: messages.PoseMesh) -> bool:
    return pose.asset == other.asset and pose.version == other.version and np.array_equal(pose.vertices, other.vertices)


def _box(pose: messages.PoseMesh) -> things.Bounds | None:
    """Of the splats in that pose; None where nobody knows how far they reach beyond their mesh."""
    asset = current.session().assets.get(pose.asset)
    info = None if asset is None else versions.find(pose.asset, pose.version or asset.head)
    if info is None or info.bounds is None or info.mesh_bounds is None:
        return None
    return bounds.posed(info.bounds, info.mesh_bounds, pose.vertices)


def _tell(link: BackendLink, object: bpy.types.Object, state: _Bound, pose: messages.PoseMesh) -> None:
    key = object.session_uid

    def answered(answer: Any) -> None:
        global _has_answer
        state.is_asking, _has_answer = False, True
        if isinstance(answer, messages.Done):
            state.known = pose
            for splats in (item for item in bpy.data.objects if item.session_uid == key):
                objects.take_pose(splats, _box(pose))
            state.trouble = "" if np.isfinite(pose.vertices).all() else _BROKEN
        elif isinstance(answer, errors.UserError) and answer.kind == "connection":
            state.sent = None
        elif isinstance(answer, errors.UserError):  # the mesh has other vertices now: said once, until it changes
            state.trouble = str(answer)
            current.tell(answer)
        elif isinstance(answer, Exception):
            current.tell(answer)
        current.redraw()

    try:
        future = link.ask(pose)
    except errors.UserError:  # the connection ended in this moment
        return
    state.sent, state.is_asking, state.told = pose, True, state.told + 1
    current.when_done(future, answered)


def _heard(event: events.Event) -> None:
    if isinstance(event, events.LinkChanged) and event.state == "connected":
        forget()


def register() -> None:
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    forget()
