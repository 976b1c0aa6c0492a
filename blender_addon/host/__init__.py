"""Touches Blender: bpy in, numpy out."""

from __future__ import annotations

from types import ModuleType


def _rooms() -> tuple[ModuleType, ...]:
    """In the order in which they are registered; the backend's life comes last, because the others hear of it."""
    from . import (
        backend_life,
        bindings,
        capture_properties,
        copies,
        final_render,
        held_versions,
        histograms,
        measured_views,
        named_selections,
        objects,
        photo_comparison,
        preferences,
        properties,
        render_properties,
        samples,
        saved_images,
        selection_marks,
        selection_properties,
        selections,
        splat_centers,
        versions,
        view_flight,
        view_masks,
        viewport,
    )

    return (
        preferences,
        capture_properties,
        render_properties,
        selection_properties,
        properties,
        samples,
        objects,
        selections,
        named_selections,
        histograms,
        view_masks,
        versions,
        bindings,
        held_versions,
        copies,
        viewport,
        splat_centers,  # over the splats
        selection_marks,
        measured_views,
        view_flight,
        photo_comparison,
        final_render,
        saved_images,
        backend_life,
    )


def register() -> None:
    for room in _rooms():
        room.register()


def unregister() -> None:
    for room in reversed(_rooms()):
        room.unregister()
