"""Splat objects: made, found, drawn from; the versions they show, and the boxes they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from ..core import bounds, events, placement, sample
from ..core.camera import as_matrix
from ..protocol import messages, things
from . import current, samples, stand_in_mesh

_UNKNOWN_UP = (0.0, 0.0, 0.0)
_COLORS: dict[str, things.SplatColors] = {"OWN": "own", "BINDING": "binding", "NORMALS": "normals", "DEPTH": "depth"}
_FLAT = 1e-9  # a smallest scale of so little of the largest: nothing can be drawn

_ups: dict[str, things.Direction] = {}  # of assets that objects were made for in this session
_posed: dict[int, things.Bounds] = {}  # by the object's session_uid: the box in the pose that is shown
_together: dict[str, Callable[[], None]] = {}  # by job: what else changes when what it made is shown


def is_splats(object: bpy.types.Object) -> bool:
    return bool(object.splatwright.asset)  # type: ignore[attr-defined]


def splat_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [object for object in scene.objects if is_splats(object)]


def objects_of(asset: str) -> list[bpy.types.Object]:
    """All objects of the .blend that show this asset, of whatever scene."""
    return [object for object in bpy.data.objects if object.splatwright.asset == asset]  # type: ignore[attr-defined]


def shown_version(object: bpy.types.Object) -> str:
    """The version that the object shows; "" = the asset's head, which follows the training that is writing it."""
    properties = object.splatwright  # type: ignore[attr-defined]
    job = current.session().job_of_asset(properties.asset)
    return "" if job is not None and job.state.category == "training" else properties.version


def is_missing(object: bpy.types.Object) -> bool:
    """Whether the backend does not know the object's asset. Its splats may lie in a file beside the .blend."""
    asset = object.splatwright.asset  # type: ignore[attr-defined]
    session = current.session()
    return bool(asset) and session.is_connected and session.is_listed and asset not in session.assets


# ---- made


def create(context: Any, asset: things.AssetInfo, *, follow_job: bool = True) -> bpy.types.Object:
    """A new object that shows the asset: in the active collection, selected and active, stood upright.

    follow_job: while a job writes the asset, the object shows what the job has come to.
    """
    object = bpy.data.objects.new(asset.name, stand_in_mesh.make(asset.name, asset.bounds, _points_of(asset)))
    properties = object.splatwright  # type: ignore[attr-defined]
    properties.asset, properties.name, properties.frame = asset.asset, asset.name, asset.frame
    properties.version = "" if follow_job and asset.job else asset.head
    object.matrix_world = _upright(asset)
    _ups[asset.asset] = asset.up
    collection = context.collection or context.scene.collection
    collection.objects.link(object)
    select(context, object)
    samples.want(asset)
    return object


def select(context: Any, object: bpy.types.Object) -> None:
    """Alone, and as the active one."""
    layer = context.view_layer
    layer.update()  # else it does not know a new object yet
    for other in layer.objects:
        other.select_set(False)
    if object.name in layer.objects:  # not when its collection is excluded from it
        object.select_set(True)
        layer.objects.active = object


def _points_of(asset: things.AssetInfo) -> npt.NDArray[np.float32]:
    """Where some of its splats are, as far as that is known, [P, 3]."""
    return sample.points_within(samples.of(asset.asset), asset.bounds)


def _upright(asset: things.AssetInfo) -> Matrix:
    # Blender would take a list for columns.
    return Matrix(placement.upright(asset.up).tolist()).to_4x4()


def _stand_up(asset: things.AssetInfo) -> None:
    """What was made before anybody knew where up is stands up now, unless somebody has placed it meanwhile."""
    before, _ups[asset.asset] = _ups.get(asset.asset), asset.up
    if before != _UNKNOWN_UP or asset.up == _UNKNOWN_UP:
        return
    for item in objects_of(asset.asset):
        if item.parent is None and item.matrix_world == Matrix.Identity(4):
            item.matrix_world = _upright(asset)


def show_version(
    asset: str, version: str, label: str, *, selection: str = "", hidden: str = "", apart: str = "", job: str = ""
) -> None:
    """All objects of the asset show this version from now on, with one undo step for all that changes with it.

    selection, hidden: of its splats, "" = none. apart: an asset that gets an object beside each of these. job: that
    made the version; what `together_with` has of it is done in the same step.
    """
    more, changed = _together.pop(job, None), False
    for item in objects_of(asset):
        own: Any = item.splatwright  # type: ignore[attr-defined]
        if own.version != version:
            own.version, own.selection, own.hidden = version, selection, hidden
            changed = True
            if apart in current.session().assets:
                _create_beside(item, current.session().assets[apart])
    if changed:
        if more is not None:
            more()
        push_undo(label)


def together_with(job: str, change: Callable[[], None]) -> None:
    """The change is made when the version is shown that the job makes, in the same undo step."""
    _together[job] = change


def _create_beside(splats: bpy.types.Object, part: things.AssetInfo) -> bpy.types.Object:
    """What was a part of the object's splats stays where it is, and follows the same mesh; it is selected with it."""
    made = splats.copy()
    made.name, made.data = part.name, stand_in_mesh.make(part.name, part.bounds, _points_of(part))
    own: Any = made.splatwright  # type: ignore[attr-defined]
    own.asset, own.version, own.name, own.frame = part.asset, part.head, part.name, part.frame
    own.selection = own.hidden = own.file = ""
    own.packed = own.extracted_mesh = None
    _ups[part.asset] = part.up
    for collection in splats.users_collection:
        collection.objects.link(made)
    samples.want(part)
    return made


def replace(asset: str, version: str, found: things.AssetInfo) -> None:
    """Objects of an asset that is not here show the same splats as the backend has them now; one undo step."""
    for item in objects_of(asset):
        properties = item.splatwright  # type: ignore[attr-defined]
        if properties.version == version:
            properties.asset, properties.version, properties.name = found.asset, found.head, found.name
            properties.frame, properties.selection, properties.hidden = found.frame, "", ""
    update_bounds(found)
    samples.want(found)
    push_undo(f"Locate {found.name}")


def push_undo(label: str) -> None:
    """One step in Blender's undo stack; nothing where there is none, as in the middle of another operator."""
    context: Any = bpy.context
    operator: Any = bpy.ops.ed.undo_push
    windows: Any = context.window_manager.windows if context.window_manager else ()
    if context.window is None and len(windows):  # in a timer
        with context.temp_override(window=windows[0]):
            operator(message=label)
    elif operator.poll():
        operator(message=label)


def update_bounds(asset: things.AssetInfo) -> None:
    """The boxes of the asset's objects are as large as its splats."""
    points, found = _points_of(asset), objects_of(asset.asset)
    for mesh in {item.data for item in found if isinstance(item.data, bpy.types.Mesh)}:
        boxes = [_posed.get(item.session_uid, asset.bounds) for item in found if item.data == mesh]
        known = [box for box in boxes if box is not None]
        if asset.bounds is None or not known:
            stand_in_mesh.update(mesh, asset.bounds, points)
        else:  # copies of an object that share its mesh may be in different poses
            now = bounds.around(known)
            at_rest = now == asset.bounds
            stand_in_mesh.update(mesh, now, points if at_rest else bounds.carried(points, asset.bounds, now))


def take_pose(object: bpy.types.Object, box: things.Bounds | None) -> None:
    """The object's box is this one as long as it is posed; None = it is at rest. That is no undo step."""
    if _posed.get(object.session_uid) == box:
        return
    if box is None:
        del _posed[object.session_uid]
    else:
        _posed[object.session_uid] = box
    asset = current.session().assets.get(object.splatwright.asset)  # type: ignore[attr-defined]
    if asset is not None:
        update_bounds(asset)


# ---- drawn


def _at_rest(_object: bpy.types.Object) -> str:
    return ""


def scene_objects(
    depsgraph: bpy.types.Depsgraph,
    *,
    for_render: bool,
    space: bpy.types.SpaceView3D | None = None,
    pose_of: Callable[[bpy.types.Object], str] = _at_rest,
) -> tuple[things.SceneObject, ...]:
    """What is to be drawn: every visible splat object and every instance of one, where the depsgraph has it.

    for_render: the depsgraph is a render's, which knows only what is rendered. Else `space` is the viewport whose local
    view and visibilities count, None = any; and the colours are those that the user has chosen to look at.
    pose_of: the pose of a bound object's mesh, by its name at the backend.
    Objects whose asset the backend does not know or has no splats of yet, and flattened ones, are left out: for one of
    them it would refuse the whole picture.
    """
    known = drawable_assets()
    return tuple(
        things.SceneObject(
            asset=original.splatwright.asset,  # type: ignore[attr-defined]
            version=shown_version(original),
            world_from_object=as_matrix(matrix),
            pose=pose_of(original),
            colors="own" if for_render else _colors_of(original),
            selection="" if for_render else _of_version(original, original.splatwright.selection),  # type: ignore[attr-defined]
            hidden=_of_version(original, original.splatwright.hidden),  # type: ignore[attr-defined]
        )
        for original, matrix in shown_splats(depsgraph, for_render=for_render, space=space)
        if original.splatwright.asset in known  # type: ignore[attr-defined]
    )


def _of_version(object: Any, selection: str) -> str:
    """What is selected or hidden is so in the version that is set, and not while a training is followed."""
    return selection if shown_version(object) == object.splatwright.version else ""


def _colors_of(object: Any) -> things.SplatColors:
    return _COLORS[object.splatwright.colors]


def shown_splats(
    depsgraph: bpy.types.Depsgraph, *, for_render: bool, space: bpy.types.SpaceView3D | None
) -> Iterator[tuple[bpy.types.Object, np.ndarray]]:
    """Every visible splat object of the .blend and every instance of one, with where it stands, [4, 4].

    As `scene_objects`, whoever has the splats.
    """
    for instance in depsgraph.object_instances:
        shown: Any = instance.object
        if shown is None or shown.type != "MESH":
            continue
        original = shown.original
        if not is_splats(original) or not instance.show_self:
            continue
        maker: Any = instance.parent.original if instance.is_instance and instance.parent else original
        if not for_render and space is not None and not maker.visible_in_viewport_get(space):
            continue
        matrix = np.array(instance.matrix_world, np.float64)
        if not is_flat(matrix):
            yield original, matrix


def drawable_assets() -> set[str]:
    """The assets of which the backend has splats."""
    return {asset for asset, info in current.session().assets.items() if _has_splats(info)}


def _has_splats(info: things.AssetInfo) -> bool:
    """Whether there is a version, or a training that has come to its first steps."""
    job = current.session().job_of_asset(info.asset)
    return bool(info.head) or (job is not None and bool(job.curve.points))


def is_flat(matrix: np.ndarray) -> bool:
    """Whether a placement, [4, 4], scales an axis to nothing."""
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    return not np.isfinite(matrix).all() or bool(scales[-1] <= _FLAT * scales[0])


# ---- kept


def versions_of(objects: Iterable[bpy.types.Object]) -> tuple[str, ...]:
    """The versions that these objects name, each once."""
    return tuple(sorted({item.splatwright.version for item in objects if item.splatwright.version}))  # type: ignore[attr-defined]


def _heard(event: events.Event) -> None:
    match event:
        case events.Heard(message=messages.AssetChanged(asset=info)):
            _changed(info)
            _stand_up(info)
        case events.AssetsCame(assets=assets):
            for info in assets:
                _changed(info)


def _changed(info: things.AssetInfo) -> None:
    update_bounds(info)
    if objects_of(info.asset):
        samples.want(info)


@bpy.app.handlers.persistent
def _restored(*_: object) -> None:
    """Undo brings meshes back as they were at that step, when less may have been known of their splats."""
    known = current.session().assets
    for asset in {item.splatwright.asset for item in bpy.data.objects} & known.keys():  # type: ignore[attr-defined]
        update_bounds(known[asset])


def register() -> None:
    current.listen(_heard)
    samples.listen(update_bounds)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.append(_restored)


def unregister() -> None:
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.remove(_restored)
    samples.unlisten(update_bounds)
    current.unlisten(_heard)
    _ups.clear()
    _posed.clear()
    _together.clear()
