# pyright: reportAttributeAccessIssue=false
"""What Splatwright keeps in a .blend: on splat objects, on scenes, and on the window for as long as Blender runs.

The classes are made from the catalog of methods. When the running backend has another catalog than the extension came
with, they are made again; what was set before stays, because Blender keeps values by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
import msgspec

from ..core import events, settings_enum
from ..protocol import messages, things
from . import capture_properties, current, render_properties, selection_properties, settings_properties

RECOMMENDED = "mcmc"  # the method for trainings until the user picks another
RECOMMENDED_FOR_MESHES = "tsdf"
CATALOG_FILE = Path(__file__).resolve().parents[1] / "catalog.json"

_registered: tuple[type[Any], ...] = ()
_catalog: tuple[things.MethodInfo, ...] = ()


def catalog() -> tuple[things.MethodInfo, ...]:
    """The methods that the properties were made for."""
    return _catalog


def methods_of(*categories: str) -> tuple[things.MethodInfo, ...]:
    return tuple(method for method in _catalog if method.category in categories)


def method_called(identifier: str) -> things.MethodInfo | None:
    return next((method for method in _catalog if method.id == identifier), None)


def settings_of(scene: Any, method: things.MethodInfo) -> bpy.types.PropertyGroup:
    return settings_properties.group_of(scene.splatwright.methods, method)


def use_catalog(methods: Iterable[things.MethodInfo]) -> bool:
    """Makes the properties for other methods than before. False when they are the same. Main thread, not in a draw.

    Raises ValueError for methods that Blender cannot hold; the properties then stay as they are.
    """
    methods = tuple(methods)
    if methods == _catalog and _registered:
        return False
    groups, before = settings_properties.make_groups(methods), _catalog
    if not any(method.category == "training" for method in methods):
        raise ValueError("The backend's catalog has no method to train with.")
    _unregister_classes()
    try:
        _register(methods, groups)
    except (RuntimeError, TypeError, ValueError) as error:  # what Blender refuses, it says while it registers
        _unregister_classes()
        _register(before, settings_properties.make_groups(before))
        raise ValueError(f"Blender cannot show the backend's methods: {error}") from error
    return True


def shipped_catalog() -> tuple[things.MethodInfo, ...]:
    """The methods of the backend that the extension was built with."""
    return msgspec.json.decode(CATALOG_FILE.read_bytes(), type=messages.Catalog).methods


def register() -> None:
    use_catalog(shipped_catalog())
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    _unregister_classes()


def _heard(event: events.Event) -> None:
    if isinstance(event, events.CatalogCame):
        try:
            use_catalog(event.methods)
        except ValueError as error:
            current.tell(error)


def _register(methods: tuple[things.MethodInfo, ...], groups: tuple[type[Any], ...]) -> None:
    global _registered, _catalog
    scene_group = _scene_group(methods, groups[-1])
    for cls in (*groups, scene_group, SPLATWRIGHT_PG_point, SPLATWRIGHT_PG_object, SPLATWRIGHT_PG_window):
        bpy.utils.register_class(cls)
        _registered = (*_registered, cls)
    for owner, group in (
        (bpy.types.Object, SPLATWRIGHT_PG_object),
        (bpy.types.Scene, scene_group),
        (bpy.types.WindowManager, SPLATWRIGHT_PG_window),
    ):
        owner.splatwright = bpy.props.PointerProperty(type=group)
    _catalog = methods


def _unregister_classes() -> None:
    global _registered
    for owner in (bpy.types.Object, bpy.types.Scene, bpy.types.WindowManager):
        if hasattr(owner, "splatwright"):
            del owner.splatwright
    for cls in reversed(_registered):
        bpy.utils.unregister_class(cls)
    _registered = ()


def _is_mesh(_self: object, candidate: bpy.types.Object) -> bool:
    return candidate.type == "MESH" and not candidate.splatwright.asset


def _mesh_chosen(self: Any, _context: object) -> None:
    from . import bindings  # it looks at objects, which know their properties

    self.mesh_topology = ""  # until somebody has bound to it, nobody knows whether its faces are those of the binding
    bindings.depend_on_mesh(self.id_data)


def _colors_chosen(_self: object, _context: object) -> None:
    from . import eyes

    eyes.mark_stale()


def _is_box(_self: object, candidate: bpy.types.Object) -> bool:
    """Whatever has an extent; an Empty counts with its display size."""
    return (
        candidate.type in {"MESH", "EMPTY", "CURVE", "SURFACE", "META", "FONT", "LATTICE"}
        and not candidate.splatwright.asset
    )


class SPLATWRIGHT_PG_point(bpy.types.PropertyGroup):
    place: bpy.props.FloatVectorProperty(name="Place", description="In the splats' own frame", size=3)


class SPLATWRIGHT_PG_object(bpy.types.PropertyGroup):
    """A splat object points at an asset of the backend; "" = this is no splat object."""

    asset: bpy.props.StringProperty(name="Asset", description="The asset of the backend that this object shows")
    version: bpy.props.StringProperty(name="Version", description="The version of the asset that this object shows")
    selection: bpy.props.StringProperty(
        name="Selection", description="Which splats of that version are selected; empty: none"
    )
    hidden: bpy.props.StringProperty(
        name="Hidden", description="Which splats of that version are neither drawn nor rendered; empty: none"
    )
    picked: bpy.props.CollectionProperty(
        name="Points",
        description="Points on the splats that were picked, for axes, ground and scale",
        type=SPLATWRIGHT_PG_point,
    )
    name: bpy.props.StringProperty(name="Name", description="What the asset was called when the file was saved")
    file: bpy.props.StringProperty(
        name="File",
        description="A copy of these splats in a file, from which the asset can be made again",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    frame: bpy.props.StringProperty(
        name="Frame", description="Which way the axes of the splats' numbers point", default="opencv"
    )
    packed: bpy.props.PointerProperty(
        name="Packed", description="Holds these splats as a file inside the .blend", type=bpy.types.Image
    )
    attributes_of: bpy.props.StringProperty(
        name="Attributes Of", description="The asset whose splats the points of this object were"
    )
    mesh: bpy.props.PointerProperty(
        name="Mesh",
        description="The splats follow the deformation of this mesh",
        type=bpy.types.Object,
        poll=_is_mesh,
        update=_mesh_chosen,
    )
    mesh_strength: bpy.props.StringProperty(
        name="Strength", description="The vertex group of the mesh that was the strength of the binding"
    )
    mesh_far: bpy.props.StringProperty(
        name="Far Follow", description="The vertex group of the mesh that far splats follow"
    )
    mesh_topology: bpy.props.StringProperty(
        name="Topology", description="Which vertices made which faces of the mesh when it was bound to; empty: unknown"
    )
    mesh_at_rest: bpy.props.BoolProperty(
        name="At Rest", description="The mesh was bound to as its armature is at rest", default=True
    )
    rebinds: bpy.props.BoolProperty(
        name="Rebind Automatically",
        description="When the mesh gets other vertices or faces, bind to them where its surface at rest is the same",
        default=True,
    )
    extracted_mesh: bpy.props.PointerProperty(
        name="Mesh",
        description="The mesh that was made of these splats; made again, it gets other faces and stays the same object",
        type=bpy.types.Object,
        poll=_is_mesh,
    )
    texture: bpy.props.PointerProperty(
        name="Texture", description="The texture that came with this mesh", type=bpy.types.Image
    )
    colors: bpy.props.EnumProperty(
        name="Colors",
        description="What the colors of the splats say in the viewport; renders have the splats' own",
        items=[
            ("OWN", "Own", "The splats as they are", "NONE", 0),
            (
                "BINDING",
                "Binding",
                "How well each splat hangs on its mesh, and how far the pose stretches it",
                "NONE",
                1,
            ),
            (
                "NORMALS",
                "Normals",
                "Which way each splat faces: x, y, z as red, green, blue. Where splats disagree it is gray",
                "NONE",
                2,
            ),
            ("DEPTH", "Depth", "How far away what is seen is: near is light, far is dark", "NONE", 3),
        ],
        default="OWN",
        update=_colors_chosen,
    )


class SPLATWRIGHT_PG_window(bpy.types.PropertyGroup):
    """Is forgotten when Blender ends."""

    job: bpy.props.StringProperty(
        name="Job", description="The job that the panel shows; empty: the newest", options={"SKIP_SAVE"}
    )


def _scene_group(methods: Iterable[things.MethodInfo], methods_group: type[Any]) -> type[bpy.types.PropertyGroup]:
    trainings, meshings = ([m for m in methods if m.category == category] for category in ("training", "meshing"))
    prop = bpy.props
    annotations: dict[str, Any] = {
        "methods": prop.PointerProperty(type=methods_group),
        "capture": prop.PointerProperty(type=capture_properties.CaptureProperties),
        "render": prop.PointerProperty(type=render_properties.RenderProperties),
        "select": prop.PointerProperty(type=selection_properties.SelectionProperties),
        "capture_kind": prop.EnumProperty(
            name="Capture",
            description="What the splats are trained from",
            items=[
                ("FOLDER", "Photos", "A folder of photos, with or without camera poses", "FILE_IMAGE", 0),
                ("SCENE", "This Scene", "Pictures that Blender renders of this scene", "SCENE_DATA", 1),
            ],
            default="FOLDER",
        ),
        "capture_path": prop.StringProperty(
            name="Folder",
            description="The folder of photos; if it has no camera poses, the backend finds them",
            subtype="DIR_PATH",
        ),
        "box": prop.PointerProperty(
            name="Box",
            description="The box around this object is the region; turn and scale the object to place it",
            type=bpy.types.Object,
            poll=_is_box,
        ),
        "bind_mesh": prop.PointerProperty(
            name="Mesh",
            description="The mesh that the splats follow",
            type=bpy.types.Object,
            poll=_is_mesh,
        ),
        "bind_strength": prop.StringProperty(
            name="Strength",
            description="Splats follow as strongly as this vertex group of the mesh is painted; empty: fully",
        ),
        "bind_far": prop.StringProperty(
            name="Far Follow",
            description="Far splats follow this vertex group, such as a bone's, as one; empty: the mesh's nearest part",
        ),
        "bind_pose": prop.EnumProperty(
            name="Captured",
            description="How the mesh stood when the photos were taken",
            items=[
                ("REST", "At Rest", "The mesh stood as its armature is at rest", "NONE", 0),
                ("NOW", "As Posed Now", "The mesh stood as it does in this frame", "NONE", 1),
            ],
            default="REST",
        ),
        "method": _method_property(trainings, "How splats are trained", RECOMMENDED),
        "mesh_method": _method_property(meshings, "How a mesh is made of splats", RECOMMENDED_FOR_MESHES),
        **_training_properties(),
    }
    return type("SPLATWRIGHT_PG_scene", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def _method_property(methods: list[things.MethodInfo], description: str, recommended: str) -> Any:
    items = [(m.id, m.label, m.help.removesuffix("."), "NONE", settings_enum.enum_number(m.id)) for m in methods]
    known = {item[0] for item in items}
    return bpy.props.EnumProperty(
        name="Method",
        description=description,
        items=items,
        default=recommended if recommended in known else next(iter(known), None),
    )


def _training_properties() -> dict[str, Any]:
    """The fields of the protocol's `Train`; 0 = choose for me."""
    prop = bpy.props
    return {
        "quality": prop.EnumProperty(
            name="Quality",
            description="How long the training takes and how fine the result is",
            items=[
                ("draft", "Draft", "A quick look", "NONE", settings_enum.enum_number("draft")),
                ("normal", "Normal", "Good for most captures", "NONE", settings_enum.enum_number("normal")),
                ("high", "High", "As good as it gets; takes long", "NONE", settings_enum.enum_number("high")),
            ],
            default="normal",
        ),
        "steps": _whole_number("Steps", "How many steps are trained (0 = automatic)", 10_000_000, 30_000),
        "max_splats": _whole_number(
            "Most Splats", "No more splats than this (0 = automatic)", 1_000_000_000, 3_000_000
        ),
        "resolution": _whole_number(
            "Resolution",
            "The longer side of the photos in pixels; larger photos are made smaller (0 = automatic)",
            16384,
            4096,
        ),
        "masks": prop.EnumProperty(
            name="Masks",
            description="What is done with masks beside the photos, or with their transparency",
            items=[
                (word, label, help, "NONE", settings_enum.enum_number(word))
                for word, label, help in (
                    ("auto", "Automatic", "Decided by what the masks look like"),
                    ("ignore", "Ignore Masked", "Masked pixels are not looked at"),
                    ("segment", "Cut Out", "Where the mask is, nothing shall be"),
                    ("alpha", "Transparency", "The photos' own transparency is the mask"),
                    ("off", "Off", "There are no masks"),
                )
            ],
            default="auto",
        ),
    }


def _whole_number(name: str, description: str, maximum: int, soft_maximum: int) -> Any:
    return bpy.props.IntProperty(
        name=name, description=description, default=0, min=0, max=maximum, soft_max=soft_maximum, options=set()
    )
