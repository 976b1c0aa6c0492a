"""Every method of the catalog can be reached from the sidebar: it is the panel's half of that contract."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Room = Callable[[str], ModuleType]


def test_every_method_has_a_button_or_an_item_and_all_its_settings_are_drawn(
    room: Room, empty_file: None, draw: Callable[..., Any], extension: ModuleType
) -> None:
    import bpy
    from recording_layout import panels

    properties, names = room("host.properties"), room("core.settings_values")
    scene = bpy.context.scene.splatwright
    assert {method.category for method in properties.catalog()} >= {"training", "editing", "meshing", "rigging"}
    for method in properties.catalog():
        if method.category == "training":
            scene.method = method.id
        if method.category == "meshing":
            scene.mesh_method = method.id
        drawn = [layout for panel in panels(extension.__name__) if (layout := draw(panel)) is not None]
        buttons = [
            call
            for layout in drawn
            for call in layout.called("operator")
            if call.arguments["operator"] == "splatwright.run_method" and call.result.method == method.id
        ]
        start = {"training": "splatwright.start_training", "meshing": "splatwright.extract_mesh"}.get(method.category)
        assert len(buttons) == 1 if start is None else any(start in layout.operators for layout in drawn), method.id
        shown = {
            call.arguments["property"]
            for layout in drawn
            for call in layout.called("prop")
            if call.arguments["data"] == properties.settings_of(bpy.context.scene, method)
        }
        for setting in method.settings:
            wanted = {names.property_name(setting.name)}
            if names.has_toggle(setting):
                wanted.add(names.automatic_name(setting))  # the value itself is seen when it is off
            assert wanted & shown, f"{method.id}: {setting.name}"


def test_an_optional_setting_can_be_set_and_made_automatic_again(
    room: Room, empty_file: None, draw: Callable[..., Any]
) -> None:
    import bpy

    scene = bpy.context.scene.splatwright
    scene.method = "mcmc"
    group = scene.methods.mcmc
    for is_automatic in (True, False):
        group.refine_every_automatic = is_automatic
        shown = draw("SPLATWRIGHT_PT_train").properties
        assert "refine_every_automatic" in shown and ("refine_every" in shown) == (not is_automatic)
