"""Where all panels stand."""

from __future__ import annotations


class SidebarPanel:
    """A panel in our tab of the 3D view's sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Splatwright"
