# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Runs any method but a training on splats: edits, meshes, rigs. What it takes follows from its category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..core import wording
from ..host import current, extracted_meshes, objects, properties, regions, settings_properties
from ..protocol import errors, messages, things
from . import asking

if TYPE_CHECKING:
    from ..protocol import remote

CATEGORIES = ("editing", "meshing", "rigging")
_TAKE_THE_MESH_AS_POSED = ("apply_pose",)  # other rigging methods want it as it was captured


def active_splats(context: Any) -> bpy.types.Object | None:
    """The active object when it is a splat object, else the only selected one."""
    if context.active_object is not None and objects.is_splats(context.active_object):
        return context.active_object
    selected = [object for object in context.selected_objects if objects.is_splats(object)]
    return selected[0] if len(selected) == 1 else None


class SPLATWRIGHT_OT_run_method(bpy.types.Operator):
    bl_idname = "splatwright.run_method"
    bl_label = "Run Method"
    bl_description = "Run this method on the active splats"
    bl_options = {"REGISTER"}

    method: bpy.props.StringProperty(name="Method", description="The method's name, such as crop")
    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")
    box: bpy.props.StringProperty(name="Box", description="The object around the region; empty: the scene's choice")
    mesh: bpy.props.StringProperty(name="Mesh", description="The mesh to bind to; empty: the scene's choice")
    settings: bpy.props.StringProperty(
        name="Settings", description='Of the method, over those of the scene, such as {"margin": 2}'
    )

    _driver = ""  # the mesh that the splats will follow

    @classmethod
    def description(cls, context: Any, operator_properties: Any) -> str:
        method = properties.method_called(operator_properties.method)
        return cls.bl_description if method is None else method.help.removesuffix(".")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not asking.can_ask(cls):
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first: undo does not reach splats in other modes")
            return False
        if not current.is_interactive():
            return True  # the object may be given by name
        splats = active_splats(context)
        if splats is None:
            cls.poll_message_set("Select a splat object first")
            return False
        if current.session().job_of_asset(splats.splatwright.asset) is not None:
            cls.poll_message_set("A job is still working on these splats")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._run(context))

    def _run(self, context: Any) -> None:
        method = properties.method_called(self.method)
        if method is None or method.category not in CATEGORIES:
            known = ", ".join(m.id for m in properties.methods_of(*CATEGORIES))
            raise errors.UserError(
                "bad_input", f"There is no method '{self.method}' for splats.", f"There are: {known}."
            )
        splats = self._splats(context)
        settings = settings_properties.values(properties.settings_of(context.scene, method), method)
        request = messages.RunMethod(
            method=method.id,
            asset=splats.splatwright.asset,
            version=objects.shown_version(splats),
            settings=settings | wording.settings_from_text(self.settings),
            **self._inputs(context, method, splats),
        )
        begun: list[str] = []
        name, driver = splats.name, self._driver  # the operator is gone when the answer comes

        def started(state: things.JobState) -> None:
            begun.append(state.job)
            _started(state, name, driver)

        asking.ask(lambda backend: backend.request(request, messages.JobAccepted).job, started)
        if not current.is_interactive():
            state = asking.wait_for_job(begun[0])
            self.report({"INFO"}, f"{method.label}: {wording.status(state)}")

    def _splats(self, context: Any) -> bpy.types.Object:
        splats = _object_called(self.object) if self.object else active_splats(context)
        if splats is None or not objects.is_splats(splats):
            raise errors.UserError("bad_input", "No splat object is chosen.", "Select one first.")
        if current.session().job_of_asset(splats.splatwright.asset) is not None:
            raise errors.UserError("refused", f"'{splats.name}' is still being worked on.", "Wait until that is done.")
        return splats

    def _inputs(self, context: Any, method: things.MethodInfo, splats: bpy.types.Object) -> dict[str, Any]:
        """What the category of the method takes from the scene."""
        chosen: Any = context.scene.splatwright
        if method.category == "editing":
            box = _object_called(self.box) if self.box else chosen.box
            return (
                {} if box is None else {"box": regions.asset_from_box(splats, box, context.evaluated_depsgraph_get())}
            )
        if method.category == "rigging":
            mesh = _object_called(self.mesh) if self.mesh else chosen.bind_mesh
            if mesh is None:
                raise errors.UserError(
                    "bad_input", "No mesh is chosen.", "Choose the mesh that the splats shall follow."
                )
            at_rest = chosen.bind_pose == "REST" and method.id not in _TAKE_THE_MESH_AS_POSED
            found = regions.mesh_of(splats, mesh, at_rest=at_rest)
            self._driver = mesh.name
            return {"vertices": found.vertices, "faces": found.faces}
        return {}


class SPLATWRIGHT_OT_fetch_mesh(bpy.types.Operator):
    bl_idname = "splatwright.fetch_mesh"
    bl_label = "Get Mesh"
    bl_description = "Make a mesh object of what this job extracted"
    bl_options = {"REGISTER"}

    job: bpy.props.StringProperty(name="Job", description="A finished job that extracted a mesh")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not asking.can_ask(cls):
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        splats = active_splats(context)
        return asking.attempt(self, lambda: _fetch_mesh(self.job, splats.name if splats else ""))


def _started(state: things.JobState, splats: str, driver: str) -> None:
    asking.learn(state)
    if state.category == "meshing":
        asking.when_ended(state.job, lambda ended: _meshed(ended, splats))
    if driver:
        _follow(state.job, splats, driver)


def _follow(job: str, splats: str, driver: str) -> None:
    """The splats follow the mesh as soon as a version that is bound to it is shown, in the same undo step."""
    own: Any = bpy.data.objects[splats].splatwright
    before = own.mesh.name if own.mesh is not None else ""
    own.mesh = bpy.data.objects.get(driver)

    def ended(state: things.JobState) -> None:
        if state.status != "finished" and splats in bpy.data.objects:
            bpy.data.objects[splats].splatwright.mesh = bpy.data.objects.get(before)

    asking.when_ended(job, ended)


def _meshed(ended: things.JobState, splats: str) -> None:
    if ended.status in ("finished", "stopped"):
        _fetch_mesh(ended.job, splats)


def _fetch_mesh(job: str, splats: str) -> None:
    def fetched(data: messages.MeshData) -> None:
        beside = bpy.data.objects.get(splats)
        view = current.session().jobs.get(job)
        made = extracted_meshes.create(
            bpy.context, f"{splats or (view.state.name if view else 'Splats')} mesh", data, beside
        )
        objects.push_undo(f"Extract {made.name}")

    def fetch(backend: remote.Backend) -> messages.MeshData:
        return backend.mesh(job)

    asking.ask(fetch, fetched)


def _object_called(name: str) -> bpy.types.Object:
    found = bpy.data.objects.get(name)
    if found is None:
        raise errors.UserError("not_found", f"There is no object '{name}'.", "Look at its name in the Outliner.")
    return found


CLASSES = (SPLATWRIGHT_OT_run_method, SPLATWRIGHT_OT_fetch_mesh)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
