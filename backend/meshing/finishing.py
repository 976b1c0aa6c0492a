"""From an extracted surface to a clean mesh in colours, the same for every method."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backend.meshing.bake import bake, bands
from backend.meshing.child_process import in_process
from backend.meshing.clean_up import cleaned
from backend.meshing.color_picture import ColorPicture, take_color_picture
from backend.meshing.depth_picture import DepthPicture, take_depth_picture
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.paint import Paint
from backend.meshing.settings import SurfaceSettings
from backend.meshing.steps import Report, Steps
from backend.meshing.viewpoints import Viewpoint, evenly, viewpoints_around, viewpoints_of
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

_LARGEST_PICTURE = 1024
_FULL = 0.6  # of a texture's pixels show the mesh
_PADDING = 512  # a chart keeps away from the next by this part of the texture's size


class Studio:
    """One making of a mesh: its viewpoints and pictures, and the count of its steps."""

    def __init__(self, settings: SurfaceSettings, inputs: MeshingInputs, report: Report, own_steps: int) -> None:
        """own_steps: of the method, besides `look`, which is one for each view, and `finish`."""
        self._settings, self._inputs = settings, inputs
        count = min(settings.views, len(inputs.cameras)) if inputs.cameras else settings.views
        finishing = 1 + count
        if settings.texture is not None:
            finishing += 2 + 2 * count + len(bands(settings.texture))
        self.steps = Steps(report, count + own_steps + finishing)
        self._has_photos = inputs.photo is not None and settings.color_from != "splats"
        if settings.color_from == "photos" and inputs.photo is None:
            hint = "Give the capture, or take the colours from the splats."
            raise UserError("bad_input", "There are no photos to take colours from.", hint)

    def views(self, pixel: float, largest: int = _LARGEST_PICTURE) -> list[Viewpoint]:
        """pixel: what one of them may cover, world units. largest: side of a picture in pixels."""
        cameras, bounds, count = self._inputs.cameras, self._inputs.bounds, self._settings.views
        if cameras:
            return viewpoints_of(cameras, bounds, count, pixel=pixel, largest=largest)
        return viewpoints_around(bounds, count, pixel=pixel, largest=largest)

    def look(self, pixel: float, largest_step: float) -> list[DepthPicture]:
        """A depth picture from every view. largest_step: as for `take_depth_picture`."""
        pictures = []
        for view in self.views(pixel):
            picture = take_depth_picture(
                self._inputs.representation, view, device=self._inputs.device, largest_step=largest_step
            )
            pictures.append(picture)
            self.steps.done()
        return pictures

    def finish(self, surface: TriangleMesh, pictures: Sequence[DepthPicture], detail: float) -> MeshingResult:
        """detail: size of the smallest one that the surface can have, world units."""
        mesh = cleaned(surface, self._settings, self.steps.watch)
        self.steps.done(faces=len(mesh.faces))
        paint = Paint(mesh)
        for picture in pictures:
            paint.add(picture, tolerance=2 * detail)
            self.steps.done()
        mesh = paint.finished()
        if self._settings.texture is None:
            return MeshingResult(mesh, len(pictures), detail)
        return self._textured(mesh, self._settings.texture, len(pictures), detail)

    def _textured(self, mesh: TriangleMesh, size: int, views: int, detail: float) -> MeshingResult:
        options = {"size": size, "padding": max(2, size // _PADDING)}
        unfolded = in_process("unfold", {"vertices": mesh.vertices, "faces": mesh.faces}, options, self.steps.watch)
        self.steps.done()
        baked = bake(
            mesh, mesh.vertex_normals, unfolded["uvs"], size, self._in_color(mesh, size), after_each=self.steps.done
        )
        self.steps.done()
        source = "photos" if self._has_photos else "splats"
        return MeshingResult(mesh, views, detail, baked.texture, baked.covered, source)

    def _in_color(self, mesh: TriangleMesh, size: int) -> list[ColorPicture]:
        pictures, inputs = [], self._inputs
        if self._has_photos:
            assert inputs.photo is not None
            for number in evenly(self._settings.views, len(inputs.cameras)):
                pictures.append(inputs.photo(number))
                self.steps.done()
            return pictures
        corners = mesh.corners
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
        for view in self.views(math.sqrt(area / _FULL) / size):
            pictures.append(take_color_picture(inputs.representation, view, device=inputs.device))
            self.steps.done()
        return pictures
