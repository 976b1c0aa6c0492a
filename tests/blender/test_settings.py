"""Settings of every method of the catalog live in real Blender properties, are saved, and come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Room = Callable[[str], ModuleType]


def groups(room: Room) -> list[tuple[Any, Any]]:
    """Every method of the catalog, with its settings in this scene."""
    import bpy

    properties = room("host.properties")
    return [(method, properties.settings_of(bpy.context.scene, method)) for method in properties.catalog()]


def read(room: Room, method: Any, group: Any) -> dict[str, Any]:
    return room("core.settings_values").read_values(method.settings, lambda name: getattr(group, name))


def other_value(setting: Any) -> Any:
    """A value that is allowed and not the default."""
    if setting.kind == "boolean":
        return not setting.default
    if setting.kind == "text":
        return "#80c0ff"
    if setting.kind == "choice":
        return next(word for word in setting.choices if word != setting.default)
    lowest = setting.minimum if setting.minimum is not None else 0
    step = 1 if setting.kind == "integer" else 1e-4
    highest = setting.maximum if setting.maximum is not None else lowest + 1000 * step
    for part in (0.3, 0.6, 0.9):
        value = lowest + part * (highest - lowest)
        value = round(value) if setting.kind == "integer" else float(f"{value:.5g}")
        if value != setting.default:
            return value
    raise AssertionError(f"{setting.name} has one value only")


def change_all(room: Room, method: Any, group: Any) -> dict[str, Any]:
    """Sets every setting to something else, as a user would, and says to what."""
    names, wanted = room("core.settings_values"), {}
    for setting in method.settings:
        wanted[setting.name] = other_value(setting)
        if names.has_toggle(setting):
            setattr(group, names.automatic_name(setting), False)
        setattr(group, names.property_name(setting.name), wanted[setting.name])
    return wanted


def test_untouched_settings_are_the_defaults_of_the_schema(room: Room, empty_file: None) -> None:
    found = groups(room)
    assert {"training", "editing", "meshing", "rigging"} <= {method.category for method, _ in found}
    for method, group in found:
        assert read(room, method, group) == {setting.name: setting.default for setting in method.settings}, method.id
        assert room("host.settings_properties").values(group, method) == {}, method.id


def test_changed_settings_come_back_from_a_saved_file(room: Room, empty_file: None, tmp_path: Path) -> None:
    import bpy

    wanted = {method.id: change_all(room, method, group) for method, group in groups(room)}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "settings.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    assert all(room("host.settings_properties").values(group, method) == {} for method, group in groups(room))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "settings.blend"))
    for method, group in groups(room):
        assert read(room, method, group) == wanted[method.id], method.id


def test_reset_leaves_no_change(room: Room, empty_file: None) -> None:
    import bpy

    for method, group in groups(room):
        change_all(room, method, group)
        bpy.ops.splatwright.reset_settings(method=method.id)
        assert room("host.settings_properties").values(group, method) == {}, method.id


def test_a_setting_keeps_to_its_limits(room: Room, empty_file: None) -> None:
    for method, group in groups(room):
        for setting in method.settings:
            if setting.kind in ("integer", "number") and setting.minimum is not None:
                name = room("core.settings_values").property_name(setting.name)
                setattr(group, name, type(getattr(group, name))(setting.minimum - 1))
                if room("core.settings_values").has_toggle(setting):
                    setattr(group, room("core.settings_values").automatic_name(setting), False)
                assert read(room, method, group)[setting.name] == setting.minimum, (method.id, setting.name)


@pytest.fixture
def own_catalog(room: Room) -> Any:
    """The catalog that the extension came with is put back afterwards."""
    properties = room("host.properties")
    before = properties.catalog()
    yield before
    properties.use_catalog(before)


def test_another_backends_catalog_takes_the_place_and_what_was_set_stays(
    room: Room, empty_file: None, own_catalog: Any
) -> None:
    import bpy

    protocol, properties, current = room("protocol"), room("host.properties"), room("host.current")
    new = protocol.things.MethodInfo(
        id="sharpen",
        category="editing",
        label="Sharpen",
        help="Makes edges crisp.",
        settings=(protocol.schema.Setting("amount", "number", "Amount", "How much.", 0.5, minimum=0, maximum=1),),
    )
    bpy.context.scene.splatwright.methods.mcmc.growth = 1.5
    bpy.context.scene.splatwright.steps = 77
    current.dispatch(room("core.events").CatalogCame((*own_catalog, new)))
    scene = bpy.context.scene.splatwright
    assert (scene.methods.mcmc.growth, scene.steps) == (1.5, 77)
    assert scene.methods.sharpen.amount == 0.5
    assert properties.method_called("sharpen") == new


@pytest.mark.parametrize("fault", ["a number that is too big", "a name that is too long", "nothing to train with"])
def test_a_catalog_that_blender_cannot_hold_is_told_and_changes_nothing(
    room: Room, empty_file: None, own_catalog: Any, fault: str
) -> None:
    import bpy

    protocol, current = room("protocol"), room("host.current")
    big = protocol.schema.Setting("big", "integer", "Big", "Too big.", 5_000_000_000)
    settings = (big,) if fault == "a number that is too big" else ()
    name = "long" * 30 if fault == "a name that is too long" else "wrong"
    wrong = protocol.things.MethodInfo(id=name, category="editing", label="W", help="W.", settings=settings)
    others = () if fault == "nothing to train with" else own_catalog
    current.dispatch(room("core.events").CatalogCame((*others, wrong)))
    assert current.session().failure is not None
    current.dispatch(room("core.events").Dismissed())
    assert room("host.properties").catalog() == own_catalog
    assert bpy.context.scene.splatwright.methods.mcmc.growth == pytest.approx(1.1)
