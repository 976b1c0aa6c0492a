"""One splat object on its way into a file, in the pose that its mesh has now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from ..core import file_kinds
from ..core.camera import as_matrix
from ..host import bindings, current, file_formats, objects, versions
from ..protocol import errors, messages, things

if TYPE_CHECKING:
    from ..protocol import remote

MOST_HARMONICS = 4  # degrees
_FILE_S = 3600.0  # a large file is written meanwhile
_POSE_S = 60.0
_KNOWN_S = 10.0


@dataclass(frozen=True)
class Outgoing:
    """Everything that is known of a file before it is written; `write` needs no Blender."""

    asset: str
    version: str
    path: Path
    choices: things.ExportChoices
    pose: messages.PoseMesh | None  # None = the splats follow no mesh, or go out at rest

    def write(self, backend: remote.Backend) -> None:
        """Raises UserError."""
        if self.pose is not None:
            backend.request(self.pose, messages.Done, _POSE_S)
        if backend.is_local:  # it writes the file where it belongs, and what lies beside some kinds of files
            backend.request(messages.AllowFolder(path=str(self.path.parent)), messages.Done)
            wish = messages.ExportFile(
                asset=self.asset, version=self.version, path=str(self.path), choices=self.choices
            )
            backend.request(wish, messages.Done, _FILE_S)
        else:
            suffix = file_kinds.suffix_of(self.path, file_formats.writes())
            file_kinds.refuse_far_parts(self.path, suffix)
            backend.fetch_file(self.asset, self.version, self.path, suffix.removeprefix("."), choices=self.choices)


def outgoing(
    splats: Any,
    path: Path,
    depsgraph: bpy.types.Depsgraph,
    *,
    as_placed: bool = True,
    frame: str = "",
    harmonics: int = MOST_HARMONICS,
    split_beyond: float | None = None,
) -> Outgoing:
    """The object as it is in this moment.

    as_placed: moved, turned, scaled and posed as it stands in Blender; else as it is stored.
    frame: the frame of the file's numbers; "" = as the format prescribes. split_beyond: as in `ExportChoices`.
    Raises UserError when the backend does not have the splats.
    """
    asset, version = splats.splatwright.asset, objects.shown_version(splats)
    if not version and asset in current.session().assets:
        version = current.session().assets[asset].head
    if not version:
        message = f"The backend does not have the splats of '{splats.name}'."
        raise errors.UserError("not_found", message, "Locate them first.")
    form = file_formats.format_named(path)
    # What stands in Blender's world is in no frame of the file's own, so that it is turned into the usual one.
    usual = form.frame if form is not None and as_placed else ""
    pose = bindings.pose_now(splats, depsgraph, f"{splats.session_uid}/file") if as_placed else None
    matrix = np.array(splats.evaluated_get(depsgraph).matrix_world, np.float64)
    choices = things.ExportChoices(
        frame=frame or usual,
        world_from_object=as_matrix(matrix) if as_placed else None,
        sh_degree=harmonics if harmonics < MOST_HARMONICS else None,
        pose="" if pose is None else pose.pose,
        split_beyond=split_beyond,
    )
    return Outgoing(asset, version, path, choices, pose)


def make_ready(splats: Any, path: Path) -> None:
    """Learns what the backend writes, and whether the splats are bound. Raises UserError when it does not write this.

    Without a window it connects and waits for that; in one it was known before anybody could press the button.
    """
    if not current.is_interactive():
        current.connect()
        current.wait_until(lambda: bool(current.session().formats) and current.session().is_listed, _KNOWN_S)
    if bindings.may_follow(splats):
        asset = splats.splatwright.asset
        versions.want(asset)
        current.wait_until(lambda: bool(versions.of(asset)), _KNOWN_S)
    writes = file_formats.writes()
    if not file_kinds.suffix_of(path, writes):
        message = f"'{path.name}' does not end in {' or '.join(writes)}."
        raise errors.UserError("unsupported", message, f"Give a name such as splats{writes[0]}.")
