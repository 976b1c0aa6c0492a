"""What a job extracted from splats becomes a mesh in Blender."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..host import current, extracted_meshes, objects
from ..protocol import messages, things
from . import asking

if TYPE_CHECKING:
    from ..protocol import remote


def take(ended: things.JobState, splats: str, *, new_object: bool = False) -> None:
    """As `fetch`, when the job has ended with a mesh."""
    if ended.status in ("finished", "stopped"):
        fetch(ended.job, splats, new_object=new_object)


def fetch(job: str, splats: str, *, new_object: bool = False) -> None:
    """Into the mesh that was made of the splats before, or a new object; one undo step.

    splats: name of their object; "" = unknown. Raises UserError.
    """

    def fetched(data: messages.MeshData) -> None:
        beside = bpy.data.objects.get(splats)
        view = current.session().jobs.get(job)
        name = f"{splats or (view.state.name if view else 'Splats')} mesh"
        made = extracted_meshes.put(bpy.context, name, data, beside, new_object=new_object)
        objects.push_undo(f"Extract {made.name}")

    def ask(backend: remote.Backend) -> messages.MeshData:
        return backend.mesh(job)

    asking.ask(ask, fetched)
