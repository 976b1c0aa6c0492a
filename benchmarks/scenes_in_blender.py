# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""Inside Blender: makes one of three textured scenes, takes pictures of it, and writes the mesh that was pictured.

`sphere_and_box`, `thin_figure` (a figure with arms, legs and an antenna, without inner faces) and `indoor_corner`
(walls, a floor, a crate and a ball, pictured from inside). Their materials shine by themselves: no light changes with
the view. Run as `python scenes_in_blender.py NAME FOLDER` by a Python that has Blender.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from animated_figure import around, capture, mesh_of, set_up
from mathutils import Vector

TRAIN_VIEWS, TEST_VIEWS = 48, 8
VOXEL = 0.012  # of the figure, whose thinnest part is 0.05 thick
CORNER_SIZE, CORNER_CENTER, CORNER_RADIUS = 1.6, np.array([0.7, 0.7, 0.5]), 1.9


def main(name: str, folder: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    set_up(scene)
    objects = SCENES[name]()
    vertices, faces = mesh_of(objects)
    write_ply(folder / "mesh.ply", vertices, faces)
    if name == "indoor_corner":
        views = {"train": from_inside(TRAIN_VIEWS, 0.0), "test": from_inside(TEST_VIEWS, 0.37)}
        capture(scene, folder, views, CORNER_CENTER, CORNER_RADIUS)
        return
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    views = {"train": around(TRAIN_VIEWS, 0.0), "test": around(TEST_VIEWS, 0.37)}
    capture(scene, folder, views, (low + high) / 2, float((high - low).max()))


def sphere_and_box() -> list[Any]:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48, radius=0.45, location=(-0.5, 0, 0))
    sphere = painted(bpy.context.object, 0)
    bpy.ops.mesh.primitive_cube_add(size=0.7, location=(0.5, 0, 0), rotation=(0.2, 0.3, 0.5))
    return [sphere, painted(bpy.context.object, 1)]


def thin_figure() -> list[Any]:
    bones = (
        ((0, 0, 0.55), (0, 0, 0.95), 0.14),  # body
        ((0.07, 0, 0.55), (0.16, 0.03, 0.0), 0.045),
        ((-0.07, 0, 0.55), (-0.16, -0.06, 0.0), 0.045),
        ((0.1, 0, 0.92), (0.42, 0.1, 0.62), 0.03),
        ((-0.1, 0, 0.92), (-0.45, -0.05, 1.05), 0.03),
        ((0, 0, 1.15), (0.06, 0, 1.55), 0.025),  # an antenna
    )
    for start, end, radius in bones:
        capsule(Vector(start), Vector(end), radius)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.16, location=(0, 0, 1.12))
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.join()
    figure: Any = bpy.context.object
    outside = figure.modifiers.new("Outside", "REMESH")
    outside.mode, outside.voxel_size = "VOXEL", VOXEL
    bpy.ops.object.modifier_apply(modifier=outside.name)
    return [painted(figure, 2)]


def indoor_corner() -> list[Any]:
    half = CORNER_SIZE / 2
    places = (
        ((half, half, 0), (0, 0, 0)),
        ((0, half, half), (0, math.pi / 2, 0)),
        ((half, 0, half), (-math.pi / 2, 0, 0)),
    )
    objects = []
    for number, (place, turn) in enumerate(places):
        bpy.ops.mesh.primitive_plane_add(size=CORNER_SIZE, location=place, rotation=turn)
        objects.append(painted(bpy.context.object, number))
    bpy.ops.mesh.primitive_cube_add(size=0.4, location=(0.55, 0.6, 0.2), rotation=(0, 0, 0.4))
    crate: Any = bpy.context.object
    keep_faces(crate, lambda face: face.normal.z > -0.5)  # nobody sees what it stands on
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=0.2, location=(1.1, 0.5, 0.22))
    ball: Any = bpy.context.object
    return [*objects, painted(crate, 3), painted(ball, 4)]


SCENES: dict[str, Callable[[], list[Any]]] = {
    "sphere_and_box": sphere_and_box,
    "thin_figure": thin_figure,
    "indoor_corner": indoor_corner,
}


def capsule(start: Vector, end: Vector, radius: float) -> None:
    along = end - start
    bpy.ops.mesh.primitive_cylinder_add(
        radius=radius,
        depth=along.length,
        location=(start + end) / 2,
        rotation=along.to_track_quat("Z", "Y").to_euler(),
    )
    for place in (start, end):
        bpy.ops.mesh.primitive_uv_sphere_add(radius=radius, location=place)


def keep_faces(object: Any, wanted: Callable[[Any], bool]) -> None:
    import bmesh

    mesh = bmesh.new()
    mesh.from_mesh(object.data)
    bmesh.ops.delete(mesh, geom=[face for face in mesh.faces if not wanted(face)], context="FACES")
    mesh.to_mesh(object.data)
    mesh.free()


def painted(object: Any, number: int) -> Any:
    """With spots and clouds of colour that shine; `number` chooses which."""
    material: Any = bpy.data.materials.new(f"Paint {number}")
    if bpy.app.version < (5, 0):  # later ones have nothing but nodes
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    place, move, spots, clouds, mix, light, output = (
        nodes.new(f"ShaderNode{name}")
        for name in ("TexCoord", "VectorMath", "TexVoronoi", "TexNoise", "Mix", "Emission", "OutputMaterial")
    )
    move.inputs[1].default_value = (1.7 * number, 0.3 * number, 0)
    spots.inputs["Scale"].default_value, clouds.inputs["Scale"].default_value = 5.0, 9.0
    mix.data_type = "RGBA"
    first, second, mixed = (socket for socket in (*mix.inputs, *mix.outputs) if socket.type == "RGBA")
    mix.inputs["Factor"].default_value = 0.5
    links.new(place.outputs["Object"], move.inputs[0])
    for texture, socket in ((spots, first), (clouds, second)):
        links.new(move.outputs["Vector"], texture.inputs["Vector"])
        links.new(texture.outputs["Color"], socket)
    links.new(mixed, light.inputs["Color"])
    links.new(light.outputs["Emission"], output.inputs["Surface"])
    object.data.materials.clear()
    object.data.materials.append(material)
    return object


def from_inside(count: int, offset: float) -> list[np.ndarray]:
    """Directions [3] from the corner's middle into the open room."""
    number = np.arange(count)
    height = 0.12 + 0.6 * ((number + 0.5) / count)
    angle = (0.12 + 0.76 * ((number + offset) * (math.sqrt(5) - 1) / 2 % 1)) * math.pi / 2
    across = np.sqrt(1 - height**2)
    return list(np.stack([across * np.cos(angle), across * np.sin(angle), height], -1))


def write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
    head += "property float x\nproperty float y\nproperty float z\n"
    head += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    path.write_bytes(head.encode() + vertices.astype("<f4").tobytes() + rows.tobytes())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
