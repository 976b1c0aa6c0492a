# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Runs any method but a training on splats: edits, meshes, rigs. What it takes follows from its category."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import bpy

from ..core import wording
from ..host import current, meshes, objects, properties, regions, settings_properties
from ..protocol import errors, messages, things
from . import asking, fetched_meshes
from .chosen_splats import can_work_on, chosen_splats, object_called

if TYPE_CHECKING:
    from collections.abc import Callable

CATEGORIES = ("editing", "meshing", "rigging")
_TAKE_THE_MESH_AS_POSED = ("apply_pose",)  # that the splats follow; others want one as it was captured


class Leader(NamedTuple):
    """The mesh that splats follow, by name, and how it was when they were bound to it."""

    mesh: str  # "" = none
    groups: regions.Groups  # that count
    topology: str  # "" = unknown
    at_rest: bool  # its armatures were at rest

    @classmethod
    def of(cls, own: Any) -> Leader:
        """As it is kept with the splats."""
        mesh = own.mesh.name if own.mesh is not None else ""
        return cls(mesh, regions.Groups(own.mesh_strength, own.mesh_far), own.mesh_topology, own.mesh_at_rest)

    @classmethod
    def now(cls, mesh: bpy.types.Object, groups: regions.Groups, *, at_rest: bool) -> Leader:
        """As somebody binds to it now."""
        topology = meshes.topology(mesh, bpy.context.evaluated_depsgraph_get())
        return cls(mesh.name, groups, topology, at_rest)

    def lead(self, splats: str) -> None:
        own: Any = bpy.data.objects[splats].splatwright
        own.mesh = bpy.data.objects.get(self.mesh)
        own.mesh_strength, own.mesh_far = self.groups
        own.mesh_topology, own.mesh_at_rest = self.topology, self.at_rest


class SPLATWRIGHT_OT_run_method(bpy.types.Operator):
    bl_idname = "splatwright.run_method"
    bl_label = "Run Method"
    bl_description = "Run this method on the active splats"
    bl_options = {"REGISTER"}

    method: bpy.props.StringProperty(name="Method", description="The method's name, such as crop")
    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")
    box: bpy.props.StringProperty(name="Box", description="The object around the region; empty: the scene's choice")
    mesh: bpy.props.StringProperty(
        name="Mesh",
        description="The mesh to bind to; empty: the scene's choice, or for a pose the one that is followed",
    )
    strength: bpy.props.StringProperty(
        name="Strength", description="Vertex group of the mesh, as strength of the binding; empty: the scene's choice"
    )
    far: bpy.props.StringProperty(
        name="Far Follow", description="Vertex group of the mesh that far splats follow; empty: the scene's choice"
    )
    settings: bpy.props.StringProperty(
        name="Settings", description='Of the method, over those of the scene, such as {"margin": 2}'
    )
    new_object: bpy.props.BoolProperty(
        name="New Object",
        description="Of a mesh: leave the one from before as it is",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: Any, operator_properties: Any) -> str:
        method = properties.method_called(operator_properties.method)
        return cls.bl_description if method is None else method.help.removesuffix(".")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return can_work_on(cls, context)

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
        inputs, leader = self._inputs(context, method, splats)
        settings = wording.settings_from_text(self.settings)
        take = None
        if method.category == "meshing":
            take = functools.partial(fetched_meshes.take, splats=splats.name, new_object=self.new_object)
        if ended := begin(context.scene, method, splats, inputs, leader, settings, ended=take):
            self.report({"INFO"}, f"{method.label}: {ended}")

    def _splats(self, context: Any) -> bpy.types.Object:
        splats = chosen_splats(self.object, context)
        refuse_busy(splats)
        return splats

    def _inputs(self, context: Any, method: things.MethodInfo, splats: Any) -> tuple[dict[str, Any], Leader | None]:
        """What the category of the method takes from the scene, and what the splats will follow."""
        chosen: Any = context.scene.splatwright
        if method.category == "editing":
            return self._region(context, splats), None
        if method.category == "rigging":
            as_posed = method.id in _TAKE_THE_MESH_AS_POSED
            followed = splats.splatwright.mesh if as_posed else None
            mesh = object_called(self.mesh) if self.mesh else followed or chosen.bind_mesh
            if mesh is None:
                raise errors.UserError(
                    "bad_input", "No mesh is chosen.", "Choose the mesh that the splats shall follow."
                )
            if as_posed:
                found = regions.mesh_of(splats, mesh, at_rest=False)
                leader = Leader.of(splats.splatwright)._replace(mesh=mesh.name, at_rest=False)
                return {"vertices": found.vertices, "faces": found.faces}, leader
            groups = regions.Groups(self.strength, self.far)
            if mesh == chosen.bind_mesh:
                groups = regions.Groups(self.strength or chosen.bind_strength, self.far or chosen.bind_far)
            at_rest = chosen.bind_pose == "REST"
            rig = regions.rig_of(splats, mesh, groups, at_rest=at_rest)
            return rig, Leader.now(mesh, groups, at_rest=at_rest)
        return {}, None

    def _region(self, context: Any, splats: Any) -> dict[str, Any]:
        """What an edit takes: the points that were picked, and an object around a region, as a box and as a mesh."""
        found: dict[str, Any] = {"points": tuple(tuple(point.place) for point in splats.splatwright.picked)}
        box = object_called(self.box) if self.box else context.scene.splatwright.box
        if box is not None:
            found["box"] = regions.asset_from_box(splats, box, context.evaluated_depsgraph_get())
            if box.type == "MESH" and len(box.data.polygons):
                mesh = regions.mesh_of(splats, box, at_rest=False)
                found |= {"vertices": mesh.vertices, "faces": mesh.faces}
        return found


def refuse_busy(splats: Any) -> None:
    """Raises UserError while a job works on the splats."""
    if current.session().job_of_asset(splats.splatwright.asset) is not None:
        raise errors.UserError("refused", f"'{splats.name}' is still being worked on.", "Wait until that is done.")


def begin(
    scene: Any,
    method: things.MethodInfo,
    splats: Any,
    inputs: dict[str, Any],
    leader: Leader | None = None,
    settings: dict[str, Any] | None = None,
    together: Callable[[], None] | None = None,
    ended: Callable[[things.JobState], None] | None = None,
) -> str:
    """Runs a method on the version that an object shows; without a window it waits, and says how that ended.

    inputs: what the method takes from the scene, as `RunMethod` has it. leader: what the splats will follow.
    settings: over those of the scene. together: what else is done in the same undo step. ended: is told how the job
    ended. Raises UserError.
    """
    chosen = settings_properties.values(properties.settings_of(scene, method), method)
    if method.category == "editing":
        inputs = {"selection": splats.splatwright.selection, "hidden": splats.splatwright.hidden} | inputs
    request = messages.RunMethod(
        method=method.id,
        asset=splats.splatwright.asset,
        version=objects.shown_version(splats),
        settings=chosen | (settings or {}),
        **inputs,
    )
    begun: list[str] = []
    name = splats.name

    def started(state: things.JobState) -> None:
        begun.append(state.job)
        if together is not None:
            objects.together_with(state.job, together)
        asking.learn(state)
        if ended is not None:
            asking.when_ended(state.job, ended)
        if leader is not None:
            _follow(state.job, name, leader)

    asking.ask(lambda backend: backend.request(request, messages.JobAccepted).job, started)
    return "" if current.is_interactive() else wording.status(asking.wait_for_job(begun[0]))


def _follow(job: str, splats: str, leader: Leader) -> None:
    """The splats follow the mesh as soon as a version that is bound to it is shown, in the same undo step."""
    before = Leader.of(bpy.data.objects[splats].splatwright)  # type: ignore[attr-defined]
    leader.lead(splats)

    def ended(state: things.JobState) -> None:
        if state.status != "finished" and splats in bpy.data.objects:
            before.lead(splats)

    asking.when_ended(job, ended)


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_run_method)


def unregister() -> None:
    bpy.utils.unregister_class(SPLATWRIGHT_OT_run_method)
