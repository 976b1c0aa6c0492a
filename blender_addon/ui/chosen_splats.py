# pyright: reportAttributeAccessIssue=false
"""Which splats an operator is about: those given by name, as scripts do, else the active ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..host import current, objects
from ..protocol import errors
from . import asking

if TYPE_CHECKING:
    from collections.abc import Callable

    Find = Callable[[Any], bpy.types.Object | None]  # the splats that an operator would be about, in a context

_UNDO = ": undo does not reach splats in other modes"


def active_splats(context: Any) -> bpy.types.Object | None:
    """The active object when it is a splat object, or the scene's box around splats on which it hangs; else the only
    selected one."""
    active = context.active_object
    if active is not None and active == context.scene.splatwright.box and active.parent is not None:
        active = active.parent
    if active is not None and objects.is_splats(active):
        return active
    selected = [object for object in context.selected_objects if objects.is_splats(object)]
    return selected[0] if len(selected) == 1 else None


def splats_or_their_mesh(object: bpy.types.Object | None, context: Any) -> bpy.types.Object | None:
    """The splats that an object is, or that the mesh was made of which it is; else the only selected ones."""
    if object is not None and not objects.is_splats(object):
        for splats in objects.splat_objects(context.scene):
            if splats.splatwright.extracted_mesh == object:
                return splats
    return object if object is not None and objects.is_splats(object) else active_splats(context)


def chosen_splats(name: str, context: Any) -> Any:
    """name: of the object; "" = the active one. Raises UserError when there is none, or it holds no splats."""
    splats = object_called(name) if name else active_splats(context)
    if splats is None or not objects.is_splats(splats):
        raise errors.UserError("bad_input", "No splat object is chosen.", "Select one first.")
    return splats


def object_called(name: str) -> bpy.types.Object:
    """Raises UserError when there is none."""
    found = bpy.data.objects.get(name)
    if found is None:
        raise errors.UserError("not_found", f"There is no object '{name}'.", "Look at its name in the Outliner.")
    return found


def can_choose(operator: Any, context: Any, find: Find = active_splats) -> bool:
    """For an operator's poll. Without a window the object may be given by name."""
    if not current.is_interactive() or find(context) is not None:
        return True
    operator.poll_message_set("Select a splat object first")
    return False


def in_object_mode(operator: Any, context: Any, why: str = _UNDO) -> bool:
    """For an operator's poll."""
    if context.mode == "OBJECT":
        return True
    operator.poll_message_set(f"Go to Object Mode first{why}")
    return False


def can_work_on(operator: Any, context: Any, find: Find = active_splats, why: str = _UNDO) -> bool:
    """For an operator's poll: there are splats, nothing works on them, and undo reaches them."""
    if not asking.can_ask(operator) or not in_object_mode(operator, context, why):
        return False
    if not can_choose(operator, context, find):
        return False
    splats: Any = find(context) if current.is_interactive() else None
    if splats is not None and current.session().job_of_asset(splats.splatwright.asset) is not None:
        operator.poll_message_set("A job is still working on these splats")
        return False
    return True
