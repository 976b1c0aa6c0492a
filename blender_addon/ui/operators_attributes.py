# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats as the points of an object, for geometry nodes, and points as splats again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from ..core import splat_arrays, splat_attributes, wording
from ..host import current, objects, point_attributes
from ..protocol import errors, selecting, things
from . import asking, uploads
from .chosen_splats import can_choose, chosen_splats, in_object_mode

if TYPE_CHECKING:
    from ..protocol import remote


class SPLATWRIGHT_OT_write_attributes(bpy.types.Operator):
    bl_idname = "splatwright.write_attributes"
    bl_label = "Write Attributes"
    bl_description = (
        "Make an object whose points are the splats, for geometry nodes; attributes named as Blender 5.3 names them"
    )
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return in_object_mode(cls, context) and asking.can_ask(cls) and can_choose(cls, context)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._write(context))

    def _write(self, context: Any) -> None:
        splats = chosen_splats(self.object, context)
        name, asset, version = splats.name, splats.splatwright.asset, splats.splatwright.version
        selection = splats.splatwright.selection
        if not version:
            raise errors.UserError("refused", f"'{name}' is still being worked on.", "Wait until that is done.")

        def fetch(backend: remote.Backend) -> splat_attributes.Columns:
            with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
                path = Path(folder, "splats.safetensors")
                backend.fetch_file(asset, version, path, "safetensors")
                columns = splat_attributes.to_columns(splat_arrays.read(path))
            return columns | _of_selections(backend, asset, version, selection)

        def fetched(columns: splat_attributes.Columns) -> None:
            beside = bpy.data.objects.get(name)
            made: Any = point_attributes.create(bpy.context, f"{name} points", columns, beside)
            made.splatwright.attributes_of = asset
            objects.push_undo("Write Attributes")
            current.redraw()

        asking.ask(fetch, fetched)


class SPLATWRIGHT_OT_read_attributes(bpy.types.Operator):
    bl_idname = "splatwright.read_attributes"
    bl_label = "Read Attributes"
    bl_description = (
        "Make a new version of the splats from the points of this object as its modifiers leave them; "
        "new splats, where the points were written from none. What the splats were bound to is not kept"
    )
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(name="Points", description="The object with the points; empty: the active one")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not in_object_mode(cls, context) or not asking.can_ask(cls):
            return False
        if current.is_interactive() and not point_attributes.has_splats(context.active_object):
            cls.poll_message_set("Select points with the attributes of splats, as Write Attributes makes them")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._read(context))

    def _read(self, context: Any) -> None:
        points = bpy.data.objects.get(self.object) if self.object else context.active_object
        if points is None:
            raise errors.UserError("bad_input", "No object with points is chosen.", "Select one first.")
        columns = point_attributes.read(points, context.evaluated_depsgraph_get())
        if not current.is_interactive():
            current.connect()
        name = points.name
        asset = _known(points)
        if asset and current.session().job_of_asset(asset) is not None:
            raise errors.UserError("refused", f"The splats of '{name}' are still being worked on.", "Wait for the job.")

        def send(backend: remote.Backend) -> tuple[things.AssetInfo, int]:
            splats = splat_attributes.to_splats(columns)
            with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
                path = Path(folder, "points.safetensors")
                splat_arrays.write(path, splats)
                with uploads.sending(backend, name) as upload:
                    info = backend.import_file(path, name, frame="" if asset else "z_up", asset=asset, **upload)
            return info, len(splats.means)

        asking.ask(send, lambda answer: _came_back(*answer, name, is_new=not asset))


def _came_back(info: things.AssetInfo, count: int, points: str, *, is_new: bool) -> None:
    asking.learn(asset=info)
    if is_new:
        made = objects.create(bpy.context, info, follow_job=False)
        source = bpy.data.objects.get(points)
        if source is not None:
            made.matrix_world = source.matrix_world.copy()
            source.splatwright.attributes_of = info.asset
        objects.push_undo("Read Attributes")
    else:
        objects.show_version(info.asset, info.head, "Read Attributes")
    current.say(f"Read {wording.splats(count)} of '{points}'")
    current.redraw()


def _of_selections(backend: remote.Backend, asset: str, version: str, selection: str) -> splat_attributes.Columns:
    """What is selected, the named sets, and to which object each splat belongs, each [N, 1]; what there is of them."""
    named = backend.request(selecting.ListSelections(asset=asset, version=version), selecting.NamedSelections)
    wanted = {splat_attributes.SELECTION: selection} if selection else {}
    wanted |= {f"{splat_attributes.SET}{item.name}": item.selection for item in named.selections}
    columns: splat_attributes.Columns = {}
    for name, of in wanted.items():
        wish = selecting.FetchSelection(asset=asset, version=version, selection=of)
        columns[name] = backend.request(wish, selecting.SelectedSplats).selected[:, None].astype(np.float32)
    for attribute in ("label", "confidence") if named.labels else ():
        values = selecting.FetchValues(asset=asset, version=version, attribute=attribute)
        columns[attribute] = backend.request(values, selecting.SplatValues).values[:, None]
    return columns


def _known(points: Any) -> str:
    """The asset that the points were written from, while the backend has it; "" = none."""
    asset = points.splatwright.attributes_of
    if asset and not current.is_interactive():
        current.wait_until(lambda: current.session().is_listed, 10)
    return asset if asset in current.session().assets else ""


CLASSES = (SPLATWRIGHT_OT_write_attributes, SPLATWRIGHT_OT_read_attributes)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
