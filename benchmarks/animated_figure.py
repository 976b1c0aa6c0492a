# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""Inside Blender: an animated figure as captures of it at rest and in poses, with the vertices of each.

Writes into FOLDER: `rest` and `pose_0` ... (pictures no training sees), `learn` (rest, and a few poses) in
NeRF's format, and `meshes.npz`: faces [F, 3], rest, pose_0 ... [V, 3], in Blender's world; those of `learn` beside it.
Its materials shine by themselves, brighter where they face the camera: a picture of a pose then differs from one at
rest by the pose alone, and view-dependent colours must turn along to be right.
Run as `python animated_figure.py FILE.glb ACTION FOLDER` by a Python that has Blender.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

SIZE, SAMPLES = 256, 8
REST_VIEWS, TEST_VIEWS, LEARN_VIEWS = 48, 6, 8
POSES, LEARN_POSES = 3, 5
FIELD_OF_VIEW = 0.7
FEW_FACES = 2000


def main(file: Path, action: str, folder: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(file))
    armature: Any = next(object for object in bpy.data.objects if object.type == "ARMATURE")
    figure = [o for o in bpy.data.objects if o.type == "MESH" and any(m.type == "ARMATURE" for m in o.modifiers)]
    for other in set(bpy.data.objects) - {armature, *figure}:
        bpy.data.objects.remove(other)  # shapes by which Blender shows bones
    if len(mesh_of(figure)[1]) < FEW_FACES:
        for part in figure:  # faces as small as a mesh from photos has
            small = part.modifiers.new("Small", "SUBSURF")
            small.subdivision_type, small.levels, small.render_levels = "SIMPLE", 2, 2
    for material in bpy.data.materials:
        shine(material)
    scene: Any = bpy.context.scene
    set_up(scene)
    play(armature, action)
    first, last = bpy.data.actions[action].frame_range
    times = np.linspace(first, last, POSES + LEARN_POSES + 2)[1:-1]  # test poses lie between those learned from
    tested = [float(t) for t in times[1::2]][:POSES]
    learned = [float(t) for t in times if float(t) not in tested]
    meshes: dict[str, np.ndarray] = {}
    armature.data.pose_position = "REST"
    meshes["rest"], meshes["faces"] = mesh_of(figure)
    center, radius = meshes["rest"].mean(axis=0), float(np.ptp(meshes["rest"], axis=0).max())
    capture(
        scene, folder / "rest", {"train": around(REST_VIEWS, 0.0), "test": around(TEST_VIEWS, 0.37)}, center, radius
    )
    armature.data.pose_position = "POSE"
    for number, time in enumerate(tested):
        go(scene, time)
        meshes[f"pose_{number}"], _ = mesh_of(figure)
        capture(scene, folder / f"pose_{number}", {"train": around(TEST_VIEWS, 0.37)}, center, radius)
    learn = folder / "learn"
    shutil.copytree(folder / "rest" / "train", learn / "train")
    shutil.copy(folder / "rest" / "transforms_train.json", learn)
    frames, photos = [meshes["rest"]], {path.stem: 0 for path in (learn / "train").iterdir()}
    for number, time in enumerate(learned, 1):
        go(scene, time)
        frames.append(mesh_of(figure)[0])
        name = f"pose_{number}_"
        views = {"train": around(LEARN_VIEWS, 0.1 + number / LEARN_POSES / LEARN_VIEWS)}
        capture(scene, learn, views, center, radius, name=name, add=True)
        photos |= {path.stem: number for path in (learn / "train").glob(f"{name}*")}
    names, poses = np.array(list(photos)), np.array(list(photos.values()))
    np.savez(learn / "mesh_poses.npz", vertices=np.stack(frames), photos=names, poses=poses)
    np.savez(folder / "meshes.npz", allow_pickle=False, **meshes)


def shine(material: Any) -> None:
    """Its base colour, as light that it sends out, 40 % weaker where the surface turns away."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    color = shader.inputs["Base Color"]
    light, facing, mix = (nodes.new(f"ShaderNode{name}") for name in ("Emission", "LayerWeight", "MapRange"))
    mix.inputs["To Min"].default_value, mix.inputs["To Max"].default_value = 1.0, 0.6
    links.new(facing.outputs["Facing"], mix.inputs["Value"])
    links.new(mix.outputs["Result"], light.inputs["Strength"])
    if color.is_linked:
        links.new(color.links[0].from_socket, light.inputs["Color"])
    else:
        light.inputs["Color"].default_value = color.default_value
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    links.new(light.outputs["Emission"], output.inputs["Surface"])


def set_up(scene: Any) -> None:
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", SAMPLES, False
    scene.cycles.max_bounces = 0
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.film_transparent, scene.view_settings.view_transform = True, "Standard"
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.angle = FIELD_OF_VIEW
    scene.collection.objects.link(camera)
    scene.camera = camera


def play(armature: Any, action: str) -> None:
    data = armature.animation_data
    for track in list(data.nla_tracks):
        data.nla_tracks.remove(track)
    data.action = bpy.data.actions[action]
    if hasattr(data, "action_slot"):  # since Blender 4.4
        data.action_slot = data.action.slots[0]


def go(scene: Any, time: float) -> None:
    scene.frame_set(int(time), subframe=time - int(time))


def mesh_of(figure: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices float32 [V, 3] in the world and faces int32 [F, 3] of all parts, as the armature has them now."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    depsgraph.update()
    vertices, faces, count = [], [], 0
    for part in figure:
        evaluated = part.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        mesh.calc_loop_triangles()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.vertices.foreach_get("co", points)
        mesh.loop_triangles.foreach_get("vertices", corners)
        matrix = np.array(evaluated.matrix_world, np.float32)
        vertices.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(corners.reshape(-1, 3) + count)
        count += len(mesh.vertices)
        evaluated.to_mesh_clear()
    return np.concatenate(vertices), np.concatenate(faces)


def around(count: int, offset: float) -> list[np.ndarray]:
    """Directions [3] spread over a sphere, without its poles (Fibonacci)."""
    z = 0.9 * (1 - 2 * (np.arange(count) + 0.5) / count)
    angle = (np.arange(count) + offset) * math.pi * (3 - math.sqrt(5))
    across = np.sqrt(1 - z**2)
    return list(np.stack([across * np.cos(angle), across * np.sin(angle), z], -1))


def capture(
    scene: Any,
    folder: Path,
    views: dict[str, list[np.ndarray]],
    center: np.ndarray,
    radius: float,
    *,
    name: str = "",
    add: bool = False,
) -> None:
    """add: to the views that an earlier call wrote. name: begins those of the pictures."""
    for part, directions in views.items():
        file, frames = folder / f"transforms_{part}.json", []
        if add:
            frames = json.loads(file.read_text())["frames"]
        for number, direction in enumerate(directions):
            look = Vector(-direction).to_track_quat("-Z", "Y")
            scene.camera.rotation_euler = look.to_euler()
            scene.camera.location = center + direction * 1.5 * radius
            bpy.context.view_layer.update()
            picture = f"{part}/{name}{number:03}"
            scene.render.filepath = str(folder / f"{picture}.png")
            bpy.ops.render.render(write_still=True)
            frames.append({"file_path": picture, "transform_matrix": [list(row) for row in scene.camera.matrix_world]})
        file.write_text(json.dumps({"camera_angle_x": FIELD_OF_VIEW, "frames": frames}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
