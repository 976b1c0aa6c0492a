"""What is seen: panels that draw the session, and operators that ask the backend."""

from __future__ import annotations

from types import ModuleType


def _rooms() -> tuple[ModuleType, ...]:
    """In the order in which they are registered; panels come last, because they name the others' operators."""
    from . import (
        asking,
        icons,
        operators_animation,
        operators_assets,
        operators_attributes,
        operators_backend,
        operators_binding,
        operators_bound_mesh,
        operators_capture,
        operators_edit,
        operators_export,
        operators_gestures,
        operators_import,
        operators_linked,
        operators_masks,
        operators_mesh,
        operators_methods,
        operators_named,
        operators_objects,
        operators_packing,
        operators_pick,
        operators_prepare,
        operators_render,
        operators_select,
        operators_train,
        operators_views,
        operators_volume,
        panels,
        settings_panel,
        tools,
        uploads,
    )

    return (
        icons,
        uploads,
        asking,
        operators_backend,
        operators_capture,
        operators_train,
        operators_methods,
        operators_mesh,
        operators_bound_mesh,
        operators_binding,
        operators_assets,
        operators_import,
        operators_export,
        operators_animation,
        operators_objects,
        operators_packing,
        operators_attributes,
        operators_render,
        operators_views,
        operators_select,
        operators_gestures,
        operators_linked,
        operators_named,
        operators_masks,
        operators_pick,
        operators_prepare,
        operators_volume,
        operators_edit,
        settings_panel,
        panels,
        tools,
    )


def register() -> None:
    for room in _rooms():
        room.register()


def unregister() -> None:
    for room in reversed(_rooms()):
        room.unregister()
