# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""The views of the active splats, worst first, and how the photo of the chosen one is shown."""

from __future__ import annotations

from typing import Any

import bpy

from ..host import current, measured_views, objects, photo_comparison, view_flight
from .chosen_splats import active_splats
from .method_panels import newest_job
from .panel_train import draw_job
from .paragraphs import paragraph
from .sidebar import SidebarPanel

_ROWS = 6
_SHOWN_BY_FILTER = {"HELD_OUT": True, "TRAINED": False}


class SPLATWRIGHT_UL_views(bpy.types.UIList):
    """Views as `host/measured_views.py` lists them."""

    kind: bpy.props.EnumProperty(
        name="Show",
        description="Which views are listed",
        items=[
            ("ALL", "All", "All views that were measured", "NONE", 0),
            (
                "HELD_OUT",
                "Held Out",
                "Views that the splats were not trained on: these tell how good they are",
                "NONE",
                1,
            ),
            ("TRAINED", "Trained", "Views that the splats were trained on", "NONE", 2),
        ],
        default="ALL",
    )

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        icon: Any,
        active_data: Any,
        active_property: Any,
        index: Any = 0,
        flt_flag: Any = 0,
    ) -> None:
        row = layout.split(factor=0.66)
        row.label(text=item.name, icon="HIDE_ON" if item.held_out else "IMAGE_DATA")
        row.label(text=f"{item.psnr:.2f} dB")

    def draw_filter(self, context: Any, layout: Any) -> None:
        layout.row(align=True).prop(self, "kind", expand=True)
        row = layout.row(align=True)
        row.prop(self, "filter_name", text="")
        row.prop(self, "use_filter_invert", text="", icon="ARROW_LEFTRIGHT")

    def filter_items(self, context: Any, data: Any, property: Any) -> tuple[list[int], list[int]]:
        """The list is in its order already: worst first."""
        items = getattr(data, property)
        flags = bpy.types.UI_UL_list.filter_items_by_name(
            self.filter_name, self.bitflag_filter_item, items, "name"
        ) or [self.bitflag_filter_item] * len(items)
        wanted = _SHOWN_BY_FILTER.get(self.kind)
        if wanted is not None:
            flags = [flag if item.held_out == wanted else 0 for flag, item in zip(flags, items, strict=True)]
        return flags, []


class SPLATWRIGHT_PT_views(SidebarPanel, bpy.types.Panel):
    bl_label = "Compare with Photos"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        splats = active_splats(context)
        if splats is None:
            paragraph(layout, context, "Select the splats that you want to compare with their photos.", "INFO")
        else:
            _draw_list(layout, context, splats)
        if photo_comparison.shown() is not None or view_flight.has_flown():
            _draw_choices(layout, context)


def _draw_list(layout: Any, context: Any, splats: Any) -> None:
    job = newest_job("evaluation", splats)
    group = measured_views.chosen()
    if not current.session().is_connected:
        paragraph(layout, context, "The backend is not running, so nothing can be compared.", "INFO")
    elif not measured_views.is_about(splats.splatwright.asset, objects.shown_version(splats)):
        paragraph(layout, context, "Asking for what was measured.", "SORTTIME")
    elif group.views:
        layout.template_list("SPLATWRIGHT_UL_views", "", group, "views", group, "active", rows=_ROWS)
        row = layout.row()
        row.scale_y = 1.2
        row.operator("splatwright.fly_to_view", icon="HIDE_OFF").object = splats.name
    elif job is None or job.is_over:
        paragraph(layout, context, "Nobody has compared these splats with photos yet.", "INFO")
    if job is not None and not job.is_over:
        draw_job(layout.box(), context, job)
    else:
        measure = layout.operator("splatwright.measure_views", icon="VIEWZOOM")
        measure.object = splats.name
        if not group.views:  # nobody knows which photos are theirs; those that the user has chosen may be
            measure.capture = context.scene.splatwright.capture_path


def _draw_choices(layout: Any, context: Any) -> None:
    group, comparison = measured_views.chosen(), photo_comparison.shown()
    box = layout.box()
    if comparison is not None:
        box.label(text=comparison.view.rpartition("/")[2], icon="IMAGE_DATA")
        box.row(align=True).prop(group, "mode", expand=True)
        if group.mode == "WIPE":
            row = box.row(align=True)
            row.prop(group, "split", slider=True)
            row.operator("splatwright.wipe_photo", text="", icon="ARROW_LEFTRIGHT")
        elif group.mode == "DIFFERENCE":
            box.prop(group, "gain", slider=True)
    box.operator("splatwright.leave_view", icon="LOOP_BACK")


CLASSES: tuple[type[Any], ...] = (SPLATWRIGHT_UL_views, SPLATWRIGHT_PT_views)
