# pyright: reportAttributeAccessIssue=false
"""What panels of methods have in common: the settings and the button of each, and the newest job of the category."""

from __future__ import annotations

from typing import Any

import bpy

from ..core.session import JobView
from ..host import current, properties
from ..protocol import things
from . import settings_panel
from .chosen_splats import active_splats
from .panel_train import draw_job
from .paragraphs import paragraph
from .sidebar import SidebarPanel

_MOST_SETTINGS_IN_VIEW = 4


class MethodsPanel(SidebarPanel):
    """Every method of a category, with its settings and its button, as the catalog has them."""

    category = ""
    empty = ""

    @classmethod
    def poll(cls, context: Any) -> bool:
        return bool(properties.methods_of(cls.category))

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        splats = active_splats(context)
        if splats is None:
            paragraph(layout, context, self.empty, "INFO")
        self.draw_inputs(layout, context, splats)
        # What there is something to choose for comes first: the rest are small steps beside it.
        for method in sorted(properties.methods_of(self.category), key=lambda method: not method.settings):
            draw_method(layout, context, method)
        job = newest_job(self.category, splats)
        if job is not None:
            draw_job(layout.box(), context, job)

    def draw_inputs(self, layout: Any, context: Any, splats: bpy.types.Object | None) -> None:
        """What the methods take besides the splats."""


def newest_job(category: str, splats: Any) -> JobView | None:
    """Of those that work, or worked, on these splats."""
    if splats is None:
        return None
    for job in reversed(current.session().jobs.values()):
        if job.state.category == category and job.state.asset == splats.splatwright.asset:
            return job
    return None


def draw_method(layout: Any, context: Any, method: things.MethodInfo, *, in_view: bool = False) -> None:
    """A method's settings, in view when they are few or that is wished, and the button that runs it."""
    if in_view or len(method.settings) <= _MOST_SETTINGS_IN_VIEW:
        settings_panel.draw(layout, context.scene, method)
    else:
        settings_panel.draw_folded(layout, context.scene, method)
    row = layout.row()
    row.scale_y = 1.2
    row.operator("splatwright.run_method", text=method.label).method = method.id


def draw_choices(layout: Any, chosen: Any, *names: str) -> None:
    """Properties of something, one below the other, with their names on the left."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for name in names:
        column.prop(chosen, name)
