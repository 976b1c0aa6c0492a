# pyright: reportAttributeAccessIssue=false
"""Masks of objects, rendered: what the object-index pass holds, by any engine and without compositor nodes.

A material that shines by the pass index of its object takes the place of all others for the moment, and each pixel
has one sample, so that it holds the number of one object.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..core.camera import as_matrix
from ..protocol import errors, selecting
from . import cameras, image_files, objects
from .changed_settings import Setting, changed

LONGEST = 512  # pixels along the longer side of a mask
_MOST = 254  # of pass indices; 255 is what a mask does not know


def render(
    scene: bpy.types.Scene, splats: bpy.types.Object, seen_by: Iterable[bpy.types.Object]
) -> tuple[selecting.MaskedView, ...]:
    """What each camera sees of the scene's objects that have a pass index, as labels of the splats. Main thread.

    Raises UserError when no such object is seen, an index is above 254, or a camera is none of a pinhole.
    """
    highest = max((item for item in scene.objects if not item.hide_render), key=lambda item: item.pass_index)
    if highest.pass_index > _MOST:
        message = f"'{highest.name}' has the pass index {highest.pass_index}."
        raise errors.UserError("bad_input", message, f"Give it one from 1 to {_MOST}.")
    with _shining_by_index() as material, tempfile.TemporaryDirectory(prefix="splatwright-masks-") as folder:
        views = tuple(_view(scene, splats, camera, material, Path(folder, "mask.exr")) for camera in seen_by)
    if not any(view.labels.any() for view in views if view.labels is not None):
        raise errors.UserError(
            "bad_input",
            "The cameras see no object with a pass index.",
            "Give the meshes over the objects a Pass Index above 0, in their properties under Relations.",
        )
    return views


def _view(scene: Any, splats: Any, camera: Any, material: Any, path: Path) -> selecting.MaskedView:
    cameras.lens_of_object(camera)  # refuses what is none
    with changed(_settings(scene, camera, material, path)):
        depsgraph = bpy.context.evaluated_depsgraph_get()
        depsgraph.update()
        seen = cameras.view_camera_of_scene(scene, camera, depsgraph)
        world = as_matrix(np.array(splats.evaluated_get(depsgraph).matrix_world, np.float64))
        bpy.ops.render.render(write_still=True, scene=scene.name)
    if not path.is_file():
        raise errors.UserError("refused", "The rendering was stopped.", "Try again.")
    labels = _read(path)
    path.unlink()
    return selecting.MaskedView(camera=seen, world_from_object=world, labels=labels)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    """The indices, [H, W]; 0 where nothing is."""
    indices = np.rint(image_files.first_channel(path))
    return np.ascontiguousarray(indices.clip(0, _MOST), np.uint8)


@contextmanager
def _shining_by_index() -> Iterator[Any]:
    material = bpy.data.materials.new("Splatwright pass index")
    try:
        if material.node_tree is None:  # before Blender 5.0
            material.use_nodes = True
        tree: Any = material.node_tree
        tree.nodes.clear()
        info, light, output = (
            tree.nodes.new(f"ShaderNode{kind}") for kind in ("ObjectInfo", "Emission", "OutputMaterial")
        )
        light.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
        tree.links.new(info.outputs["Object Index"], light.inputs["Strength"])
        tree.links.new(light.outputs["Emission"], output.inputs["Surface"])
        yield material
    finally:
        bpy.data.materials.remove(material)


def _settings(scene: Any, camera: Any, material: Any, path: Path) -> list[Setting]:
    """The whole frame, small, one sample in the middle of each pixel, as a float EXR without splats."""
    render, image = scene.render, scene.render.image_settings
    width, height = render.resolution_x, render.resolution_y
    share = min(1.0, LONGEST / max(width, height))
    off = ("use_border", "use_compositing", "use_sequencer", "use_multiview", "use_motion_blur", "use_stamp")
    settings: list[Setting] = [
        (scene, "camera", camera),
        (render, "filepath", str(path)),
        (render, "use_overwrite", True),
        (render, "use_file_extension", True),
        (render, "resolution_x", max(round(width * share), 4)),
        (render, "resolution_y", max(round(height * share), 4)),
        (render, "resolution_percentage", 100),
        (render, "film_transparent", True),
        (render, "filter_size", 0.0),
        *[(render, name, False) for name in off],
        (camera.data.dof, "use_dof", False),
        *[(layer, "material_override", material) for layer in scene.view_layers],
        *[(item, "hide_render", True) for item in scene.objects if objects.is_splats(item)],
    ]
    if hasattr(image, "media_type"):  # Blender 5.0 and later
        settings.append((image, "media_type", "IMAGE"))
    settings += [(image, "file_format", "OPEN_EXR"), (image, "color_mode", "RGBA"), (image, "color_depth", "32")]
    return [*settings, *_engine(scene)]


def _engine(scene: Any) -> list[Setting]:
    """Cycles, which needs no graphics; EEVEE where Cycles is not enabled."""
    cycles = getattr(scene, "cycles", None)
    if cycles is None:
        name = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"
        return [(scene.render, "engine", name), (scene.eevee, "taa_render_samples", 1)]
    return [
        (scene.render, "engine", "CYCLES"),
        (cycles, "samples", 1),
        (cycles, "use_denoising", False),
        (cycles, "film_exposure", 1.0),
        (cycles, "pixel_filter_type", "BLACKMAN_HARRIS"),
        (cycles, "filter_width", 0.01),
        (cycles, "max_bounces", 0),
    ]
