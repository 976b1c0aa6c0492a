# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats in the final picture: the compositor nodes put in and taken out, and set-up and render with one button."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import bpy

from ..host import current, depth_pass, final_render, not_meshes, render_nodes
from . import asking


class SPLATWRIGHT_OT_setup_render(bpy.types.Operator):
    bl_idname = "splatwright.setup_render"
    bl_label = "Splats in Renders"
    bl_description = (
        "Add nodes to the compositor that lay the splats over the scene, in front of and behind its meshes. "
        "To match the photos' colors, the view transform goes into the nodes"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is not None and render_nodes.is_set_up(context.scene):
            cls.poll_message_set("The nodes are there already")
            return False
        return context.scene is not None

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: render_nodes.set_up(context.scene))


class SPLATWRIGHT_OT_remove_render_setup(bpy.types.Operator):
    bl_idname = "splatwright.remove_render_setup"
    bl_label = "No Splats in Renders"
    bl_description = "Take our nodes out of the compositor and give the scene its view transform back"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _has_nodes(cls, context)

    def execute(self, context: Any) -> set[str]:
        render_nodes.remove(context.scene)
        return {"FINISHED"}


class SPLATWRIGHT_OT_update_render_setup(bpy.types.Operator):
    bl_idname = "splatwright.update_render_setup"
    bl_label = "Update the Nodes"
    bl_description = "Make our nodes anew for the color management that the scene has now"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _has_nodes(cls, context)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: render_nodes.follow_choices(context.scene))


class SPLATWRIGHT_OT_check_render(bpy.types.Operator):
    bl_idname = "splatwright.check_render"
    bl_label = "Check the Splats"
    bl_description = "Refuse with one sentence where splats would be missing from a render, or in wrong colors"

    def execute(self, context: Any) -> set[str]:
        def check() -> None:
            final_render.check(context.scene)
            final_render.check_nodes(context.scene)

        return asking.attempt(self, check)


class SPLATWRIGHT_OT_render(bpy.types.Operator):
    bl_idname = "splatwright.render"
    bl_label = "Render With Splats"
    bl_description = "Render the scene with its splats. Refuses where splats would be missing from the picture"
    bl_options = {"REGISTER", "UNDO"}

    # Not what was asked for the last time: the button for one picture would render an animation again.
    animation: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Animation", description="Render all frames, and write them", options={"SKIP_SAVE"}
    )
    write_still: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Write", description="Write the picture to the scene's output path", options={"SKIP_SAVE"}
    )
    depth_first: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Depth First",
        description="Render the depth before the picture, so that also what has no mesh hides splats exactly",
        items=[
            ("AUTO", "Where Needed", "Where the scene holds hair, points or displacement", "NONE", 0),
            ("ALWAYS", "Always", "", "NONE", 1),
            ("NEVER", "Never", "Meshes alone hide splats, or what the nodes say", "NONE", 2),
        ],
        default="AUTO",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or context.scene.camera is None:
            cls.poll_message_set("The scene needs a camera")
            return False
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: self._render(context.scene))

    def _render(self, scene: bpy.types.Scene) -> None:
        final_render.check(scene)
        render_nodes.set_up(scene)
        if render_nodes.trouble(scene):
            render_nodes.follow_choices(scene)
        needed = self.depth_first == "ALWAYS" or (self.depth_first == "AUTO" and not_meshes.may_hide_splats(scene))
        picture = _Picture(self.animation, self.write_still)
        if not needed:
            picture.render()
        elif current.is_interactive():
            # After this operator's undo step, which must not hold the depth's settings.
            current.post(_DepthFirst(scene, picture).begin)
        else:
            with depth_pass.begin(scene):
                bpy.ops.render.render(animation=self.animation)
            try:
                depth_pass.read()
                picture.render()
            finally:
                depth_pass.forget()


class _Picture:
    """A render that is begun, now or after another one."""

    def __init__(self, animation: bool, write_still: bool) -> None:
        self.animation, self._write_still = animation, write_still

    def render(self) -> None:
        render: Any = bpy.ops.render.render
        if not current.is_interactive():
            render(animation=self.animation, write_still=self._write_still)
            return
        context: Any = bpy.context
        with context.temp_override(window=context.window or context.window_manager.windows[0]):
            render("INVOKE_DEFAULT", animation=self.animation, write_still=self._write_still)


class _DepthFirst:
    """In a window: the depth's render, then the picture's, each beside Blender; what ends one begins the next."""

    def __init__(self, scene: bpy.types.Scene, picture: _Picture) -> None:
        self._scene, self._picture, self._stack = scene.name, picture, ExitStack()
        self._handlers: tuple[tuple[Any, Any], ...] = ()

    def begin(self) -> None:
        """On the main thread, not within an operator."""
        try:
            self._stack = depth_pass.begin(bpy.data.scenes[self._scene])
            self._listen(self._depth_is_done, self._give_up)
            _Picture(self._picture.animation, False).render()
        except Exception as error:  # noqa: BLE001  nobody else would hear of it
            self._give_up()
            current.tell(error)

    def _listen(self, done: Any, cancelled: Any) -> None:
        # On a render's thread: what follows belongs to the main one.
        self._handlers = (
            (bpy.app.handlers.render_complete, lambda *_: current.post(done)),
            (bpy.app.handlers.render_cancel, lambda *_: current.post(cancelled)),
        )
        for handlers, handler in self._handlers:
            handlers.append(handler)

    def _unlisten(self) -> None:
        for handlers, handler in self._handlers:
            if handler in handlers:
                handlers.remove(handler)

    def _depth_is_done(self) -> None:
        self._unlisten()
        if bpy.app.is_job_running("RENDER"):  # its last moments
            bpy.app.timers.register(self._depth_is_done, first_interval=0.05)
            return
        self._stack.close()
        try:
            depth_pass.read()
            self._listen(self._give_up, self._give_up)
            self._picture.render()
        except Exception as error:  # noqa: BLE001
            self._give_up()
            current.tell(error)

    def _give_up(self) -> None:
        """Or done: the scene has its settings, and no depth is kept."""
        self._unlisten()
        self._stack.close()
        depth_pass.forget()


def _has_nodes(cls: Any, context: Any) -> bool:
    if context.scene is None or not render_nodes.is_set_up(context.scene):
        cls.poll_message_set("There are no nodes of ours in the compositor")
        return False
    return True


CLASSES = (
    SPLATWRIGHT_OT_setup_render,
    SPLATWRIGHT_OT_remove_render_setup,
    SPLATWRIGHT_OT_update_render_setup,
    SPLATWRIGHT_OT_check_render,
    SPLATWRIGHT_OT_render,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
