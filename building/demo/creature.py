"""A small textured scene with a creature on an armature, made from nothing inside Blender."""

from __future__ import annotations

import math
from typing import Any

import bmesh
import bpy
from mathutils import Quaternion, Vector

# The creature's skeleton: joints in metres with a radius each, and the bones between them.
JOINTS = {
    "hips": ((0.0, 0.0, 0.62), 0.30),
    "chest": ((0.0, -0.02, 1.02), 0.27),
    "neck": ((0.0, -0.03, 1.30), 0.17),
    "head": ((0.0, -0.08, 1.50), 0.36),
    "crown": ((0.0, -0.08, 1.78), 0.30),
    "shoulder.L": ((0.26, 0.0, 1.08), 0.14),
    "elbow.L": ((0.56, -0.02, 0.98), 0.12),
    "hand.L": ((0.86, -0.10, 1.02), 0.15),
    "shoulder.R": ((-0.26, 0.0, 1.08), 0.14),
    "elbow.R": ((-0.56, -0.02, 0.98), 0.12),
    "hand.R": ((-0.86, -0.10, 1.02), 0.15),
    "hip.L": ((0.20, 0.0, 0.50), 0.18),
    "foot.L": ((0.28, -0.06, 0.04), 0.19),
    "hip.R": ((-0.20, 0.0, 0.50), 0.18),
    "foot.R": ((-0.28, -0.06, 0.04), 0.19),
    "tail": ((0.0, 0.42, 0.50), 0.14),
    "tip": ((0.0, 0.80, 0.66), 0.09),
}
BONES = {  # name: (from, to, parent)
    "spine": ("hips", "chest", ""),
    "neck": ("chest", "neck", "spine"),
    "head": ("neck", "crown", "neck"),
    "upper_arm.L": ("shoulder.L", "elbow.L", "spine"),
    "forearm.L": ("elbow.L", "hand.L", "upper_arm.L"),
    "upper_arm.R": ("shoulder.R", "elbow.R", "spine"),
    "forearm.R": ("elbow.R", "hand.R", "upper_arm.R"),
    "leg.L": ("hip.L", "foot.L", ""),
    "leg.R": ("hip.R", "foot.R", ""),
    "tail": ("hips", "tail", ""),
    "tail_tip": ("tail", "tip", "tail"),
}
LIMBS = (
    *((start, end) for name, (start, end, _) in BONES.items() if name != "head"),
    ("neck", "head"),
    ("head", "crown"),
    ("chest", "shoulder.L"),
    ("chest", "shoulder.R"),
    ("hips", "hip.L"),
    ("hips", "hip.R"),
)


def build() -> tuple[Any, Any, Any]:
    """Empties the file and builds the scene: the creature's mesh, its armature, the plinth it stands on."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    light(scene)
    creature = make_creature(scene)
    rig = make_rig(scene)
    bind_to_rig(creature, rig)
    plinth = make_plinth(scene)
    return creature, rig, plinth


def light(scene: Any) -> None:
    """A soft sky and a soft sun: what splats keep baked in, so that a moved limb still fits."""
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.85, 0.92, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.6
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = 1.2, math.radians(60)
    sun.rotation_euler = (math.radians(35), math.radians(20), 0)
    scene.collection.objects.link(sun)


def make_creature(scene: Any) -> Any:
    mesh = bpy.data.meshes.new("Creature")
    names = list(JOINTS)
    mesh.from_pydata([JOINTS[n][0] for n in names], [(names.index(a), names.index(b)) for a, b in LIMBS], [])
    creature = bpy.data.objects.new("Creature", mesh)
    scene.collection.objects.link(creature)
    creature.modifiers.new("Skin", "SKIN").use_smooth_shade = True
    creature.modifiers.new("Smooth", "SUBSURF").levels = 3
    for vertex, name in zip(mesh.skin_vertices[0].data, names, strict=True):
        vertex.radius = (JOINTS[name][1],) * 2
        vertex.use_root = name == "hips"
    evaluated = creature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    whole = bpy.data.meshes.new_from_object(evaluated)
    creature.modifiers.clear()
    creature.data = whole
    whole.materials.append(hide_material())
    add_eyes(creature)
    return creature


def add_eyes(creature: Any) -> None:
    """White balls with dark pupils, joined to the body so that one mesh carries it all."""
    mesh = creature.data
    mesh.materials.append(plain("Eye", (0.95, 0.95, 0.92, 1)))
    mesh.materials.append(plain("Pupil", (0.02, 0.02, 0.03, 1)))
    shape = bmesh.new()
    shape.from_mesh(mesh)
    for side in (-1, 1):
        for radius, place, slot in ((0.105, (0.14 * side, -0.30, 1.62), 1), (0.058, (0.15 * side, -0.375, 1.63), 2)):
            made = bmesh.ops.create_uvsphere(shape, u_segments=24, v_segments=16, radius=radius)
            for vertex in made["verts"]:
                vertex.co += Vector(place)
                for face in vertex.link_faces:
                    face.material_index, face.smooth = slot, True
    shape.to_mesh(mesh)
    shape.free()


def hide_material() -> Any:
    """Spots and bands in generated coordinates, which stay on the skin when it bends."""
    material = bpy.data.materials.new("Hide")
    material.use_nodes = True
    tree = material.node_tree
    nodes, links = tree.nodes, tree.links
    coordinates = nodes.new("ShaderNodeTexCoord")
    cells = nodes.new("ShaderNodeTexVoronoi")
    cells.inputs["Scale"].default_value = 9.0
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color = (0.80, 0.10, 0.06, 1)
    ramp.color_ramp.elements[0].position = 0.30
    ramp.color_ramp.elements[1].color = (0.95, 0.55, 0.10, 1)
    ramp.color_ramp.elements[1].position = 0.36
    bands = nodes.new("ShaderNodeTexWave")
    bands.bands_direction = "Z"
    bands.inputs["Scale"].default_value = 3.0
    bands.inputs["Distortion"].default_value = 3.0
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    base = nodes["Principled BSDF"]
    base.inputs["Roughness"].default_value = 0.9
    base.inputs["Specular IOR Level"].default_value = 0.1
    links.new(coordinates.outputs["Generated"], cells.inputs["Vector"])
    links.new(coordinates.outputs["Generated"], bands.inputs["Vector"])
    links.new(cells.outputs["Distance"], ramp.inputs["Fac"])
    color_a = next(s for s in mix.inputs if s.name == "A" and s.type == "RGBA")
    color_b = next(s for s in mix.inputs if s.name == "B" and s.type == "RGBA")
    result = next(s for s in mix.outputs if s.type == "RGBA")
    step = nodes.new("ShaderNodeMath")
    step.operation = "GREATER_THAN"
    step.inputs[1].default_value = 0.72
    links.new(bands.outputs["Fac"], step.inputs[0])
    links.new(step.outputs[0], mix.inputs[0])
    links.new(ramp.outputs["Color"], color_a)
    color_b.default_value = (0.10, 0.22, 0.45, 1)
    links.new(result, base.inputs["Base Color"])
    return material


def plain(name: str, color: tuple[float, float, float, float]) -> Any:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    base = material.node_tree.nodes["Principled BSDF"]
    base.inputs["Base Color"].default_value = color
    base.inputs["Roughness"].default_value = 0.8
    return material


def make_rig(scene: Any) -> Any:
    armature = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", armature)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (start, end, parent) in BONES.items():
        bone = armature.edit_bones.new(name)
        bone.head, bone.tail = JOINTS[start][0], JOINTS[end][0]
        if parent:
            bone.parent = armature.edit_bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def bind_to_rig(creature: Any, rig: Any) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    creature.select_set(True)
    rig.select_set(True)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.parent_set(type="ARMATURE_AUTO")


def make_plinth(scene: Any) -> Any:
    mesh = bpy.data.meshes.new("Plinth")
    shape = bmesh.new()
    bmesh.ops.create_cone(shape, cap_ends=True, segments=64, radius1=1.05, radius2=0.95, depth=0.16)
    shape.to_mesh(mesh)
    shape.free()
    plinth = bpy.data.objects.new("Plinth", mesh)
    plinth.location.z = -0.09
    scene.collection.objects.link(plinth)
    material = plain("Stone", (1, 1, 1, 1))
    nodes, links = material.node_tree.nodes, material.node_tree.links
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 7.0
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.4, 0.6
    ramp.color_ramp.elements[0].color = (0.18, 0.30, 0.16, 1)
    ramp.color_ramp.elements[1].color = (0.62, 0.64, 0.50, 1)
    coordinates = nodes.new("ShaderNodeTexCoord")
    links.new(coordinates.outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    mesh.materials.append(material)
    return plinth


TURNS = {  # of the waving pose: bone -> (axis of the world, degrees)
    "spine": ((0, 1, 0), -6),
    "head": ((0, 0, 1), 22),
    "upper_arm.L": ((0, 1, 0), -48),
    "forearm.L": ((0, 1, 0), -40),
    "upper_arm.R": ((0, 1, 0), -28),
    "forearm.R": ((0, 0, 1), 35),
    "tail": ((0, 0, 1), 25),
    "tail_tip": ((0, 0, 1), 30),
}


def pose(rig: Any, amount: float) -> None:
    """amount: 0 = rest, 1 = waving with the head turned."""
    for name, (axis, degrees) in TURNS.items():
        bone = rig.pose.bones[name]
        to_bone = bone.bone.matrix_local.to_3x3().inverted()
        bone.rotation_mode = "QUATERNION"
        bone.rotation_quaternion = Quaternion(to_bone @ Vector(axis), math.radians(degrees) * amount)


def key(rig: Any, frame: int) -> None:
    """Keyframes the pose as it is now."""
    for name in TURNS:
        rig.pose.bones[name].keyframe_insert("rotation_quaternion", frame=frame)
