"""Splat files that become assets, and versions that become files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.jobs.bindings import stored_binding
from backend.jobs.splat_files import read_splat_file, write_splat_file
from backend.rigging.baking import bake_pose
from backend.rigging.moved import moved_binding
from backend.splats.io.content import SplatContent, turned
from backend.splats.io.frames import Frame, frame_called, is_mirrored, up_in
from backend.splats.moved import moved_cloud
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from shared_protocol.errors import UserError
from shared_protocol.things import ExportChoices

_WORLD: Frame = "z_up"  # Blender's


def import_asset(assets: AssetStore, path: Path, name: str, frame: str) -> str:
    """Makes an asset of a file and returns its id. The asset keeps the file's numbers and remembers their frame.

    frame: that the numbers really are in; "" = as the file says. Numbers in a mirrored frame are turned into OpenCV's,
    because an object in a scene can be turned but should not be mirrored. Raises UserError as `read_splat_file`.
    """
    content, binding = read_splat_file(path, frame_called(frame) if frame else None)
    if is_mirrored(content.frame):
        content = turned(content, "opencv")
    card = assets.create(name or path.stem, frame=content.frame, up=up_in(content.frame), notes=content.notes)
    try:
        assets.add(
            card.id,
            content.cloud,
            label=f"imported from {path.name}",
            antialiased=bool(content.antialiased),
            binding=None if binding is None else binding.to_arrays(),
            extra=content.extra,
        )
    except UserError:
        assets.discard(card.id)
        raise
    return card.id


def import_version(assets: AssetStore, path: Path, asset: str, name: str) -> None:
    """Adds the splats of a file to an asset as its newest version; their numbers are in the asset's frame.

    Raises UserError as `read_splat_file`.
    """
    head = assets.version(assets.asset(asset).id)
    content, binding = read_splat_file(path, assets.frame(asset))
    assets.add(
        asset,
        content.cloud,
        label=f"read from {name or path.name}",
        antialiased=bool(content.antialiased) or head.antialiased,
        binding=None if binding is None else binding.to_arrays(),
        extra=content.extra,
    )


def export_version(
    assets: AssetStore, card: VersionCard, path: Path, choices: ExportChoices, vertices: np.ndarray | None = None
) -> None:
    """Writes the file whole or not at all; its suffix chooses the format. Raises UserError when it cannot be.

    vertices: [V, 3] in the asset's frame, where the mesh is that a bound version follows; None = at rest.
    """
    cloud, binding, extra = assets.read(card), stored_binding(assets, card), assets.extra(card)
    if vertices is not None and binding is not None:
        count = len(cloud)
        cloud, binding = bake_pose(cloud, binding, vertices, split_beyond=choices.split_beyond)
        extra = extra if len(cloud) == count else {}
    content = SplatContent(cloud, assets.frame(card.asset), card.antialiased, extra)
    if choices.world_from_object is not None:
        matrix = np.array(choices.world_from_object).reshape(4, 4)
        content = replace(content, cloud=moved_cloud(cloud, matrix), frame=_WORLD)
        binding = None if binding is None else moved_binding(binding, matrix, content.cloud.means)
    frame = frame_called(choices.frame) if choices.frame else None
    write_splat_file(path, content, binding, frame=frame, sh_degree=choices.sh_degree)
