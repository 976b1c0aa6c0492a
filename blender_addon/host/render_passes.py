"""The File Output node that writes the scene, the splats and their depth into one float EXR a frame."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Any

_LAYERS = (("Image", "RGBA"), ("Splats", "RGBA"), ("Splats Depth", "FLOAT"))


def made(tree: Any, picture_path: str) -> Any:
    """The node, with inputs called Image, Splats, and Splats Depth.

    picture_path: where the scene writes its pictures; the EXR comes beside them.
    """
    node = tree.nodes.new("CompositorNodeOutputFile")
    path = path_beside(picture_path)
    if hasattr(node, "file_output_items"):  # from 5.0 on
        node.format.media_type = "MULTI_LAYER_IMAGE"
        node.directory, node.file_name = os.path.split(path)
        for name, kind in _LAYERS:
            node.file_output_items.new(kind, name)
    else:
        node.format.file_format = "OPEN_EXR_MULTILAYER"
        node.base_path = path
        node.layer_slots.clear()
        for name, _ in _LAYERS:
            node.layer_slots.new(name)
    node.format.color_depth = "32"
    return node


def made_depth_writer(tree: Any, folder: Path, name: str) -> Any:
    """A node with one input, of which it writes a single-layer float EXR a frame."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "file_output_items"):  # from 5.0 on
        node.format.media_type = "IMAGE"
        node.directory, node.file_name = str(folder), ""
        node.file_output_items.new("FLOAT", name)
    else:
        node.base_path = str(folder)
        node.file_slots[0].path = name
    node.format.file_format, node.format.color_depth = "OPEN_EXR", "32"
    return node


def path_beside(picture_path: str) -> str:
    """/shots/one.png and /shots/one_ give /shots/one_splats_####, in which Blender puts the frame."""
    stem, suffix = os.path.splitext(picture_path)
    stem = stem if suffix else picture_path
    gap = "" if not stem or stem.endswith(("/", "\\", "_", "-", ".", "#")) else "_"
    return f"{stem}{gap}splats_####"
