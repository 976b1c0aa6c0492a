"""Stands for a panel's layout, which does not exist without a window: records what is drawn.

It takes only what this Blender's UILayout takes. A function, an argument, an icon, a property or an operator that is
not there is an error, where Blender's own layout would print a warning into the console, or an artist would see a gap.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import bpy

FUNCTIONS = bpy.types.UILayout.bl_rna.functions
PROPERTIES = bpy.types.UILayout.bl_rna.properties


class Call(NamedTuple):
    function: str
    arguments: dict[str, Any]
    layout: RecordingLayout  # that it was called on
    result: Any

    @property
    def is_enabled(self) -> bool:
        return self.layout.is_enabled


class RecordingLayout:
    def __init__(self, above: RecordingLayout | None = None) -> None:
        values = {"enabled": True, "active": True, "alert": False, "operator_context": "INVOKE_DEFAULT"}
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "above", above)
        object.__setattr__(self, "calls", above.calls if above else [])

    # ---- what tests ask

    @property
    def is_enabled(self) -> bool:
        return self.values["enabled"] and (self.above is None or self.above.is_enabled)

    def called(self, function: str) -> list[Call]:
        return [call for call in self.calls if call.function == function]

    @property
    def texts(self) -> list[str]:
        """All that is written, in order: labels, and the text that a button or property is given."""
        return [text for call in self.calls if (text := call.arguments.get("text"))]

    @property
    def operators(self) -> dict[str, Call]:
        """The buttons by operator; the last one of several."""
        return {call.arguments["operator"]: call for call in self.called("operator")}

    @property
    def properties(self) -> list[str]:
        """Names of the properties that are shown, in order."""
        return [call.arguments["property"] for call in self.called("prop")]

    # ---- what panels call

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in PROPERTIES:
            raise AttributeError(f"UILayout has no property '{name}'")
        _check_value(PROPERTIES[name], value, name)
        self.values[name] = value

    def __getattr__(self, name: str) -> Any:
        if name in FUNCTIONS:
            return lambda *positional, **named: self._record(name, positional, named)
        if name in PROPERTIES:
            return self.values.get(name, getattr(PROPERTIES[name], "default", None))
        raise AttributeError(f"UILayout has no '{name}'")

    def _record(self, name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        parameters = [p for p in FUNCTIONS[name].parameters if not p.is_output]
        arguments = dict(zip((p.identifier for p in parameters), positional, strict=False))
        if len(positional) > len(parameters) or arguments.keys() & named.keys():
            raise TypeError(f"UILayout.{name}: arguments given twice or too many")
        arguments |= named
        known = {p.identifier: p for p in parameters}
        for argument, value in arguments.items():
            if argument not in known:
                raise TypeError(f"UILayout.{name} has no argument '{argument}'")
            _check_value(known[argument], value, f"{name}({argument})")
        missing = [p.identifier for p in parameters if p.is_required and p.identifier not in arguments]
        if missing:
            raise TypeError(f"UILayout.{name} needs {missing}")
        if "data" in arguments and "property" in arguments:
            _check_property(arguments["data"], arguments["property"])
        result = self._result(name, arguments)
        self.calls.append(Call(name, arguments, self, result))
        return result

    def _result(self, name: str, arguments: dict[str, Any]) -> Any:
        outputs = [p for p in FUNCTIONS[name].parameters if p.is_output]
        if name == "operator":
            return DrawnOperator(arguments["operator"])
        layouts = [
            RecordingLayout(self)
            for p in outputs
            if p.type == "POINTER" and p.fixed_type.identifier == bpy.types.UILayout.bl_rna.identifier
        ]
        return tuple(layouts) if len(layouts) > 1 else layouts[0] if layouts else None


class DrawnOperator:
    """The properties of a button's operator, which a panel may set."""

    def __init__(self, identifier: str) -> None:
        module, _, name = identifier.partition(".")
        try:
            rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
        except (KeyError, AttributeError) as error:
            raise AttributeError(f"there is no operator '{identifier}'") from error
        object.__setattr__(self, "rna", rna)
        object.__setattr__(self, "values", {})

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.rna.properties:
            raise AttributeError(f"operator {self.rna.identifier} has no property '{name}'")
        _check_value(self.rna.properties[name], value, name)
        self.values[name] = value

    def __getattr__(self, name: str) -> Any:
        return self.values[name] if name in self.values else self.rna.properties[name].default


class DrawnPanel:
    """Stands for the instance that Blender makes of a panel: its functions, and our layout."""

    def __init__(self, panel: type, layout: RecordingLayout) -> None:
        self.panel, self.layout = panel, layout

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.panel, name)
        return types.MethodType(value, self) if isinstance(value, types.FunctionType) else value


def draw(panel: type, context: Any = None) -> RecordingLayout | None:
    """Draws a panel, a menu or preferences, header first. None when its poll says that it is not to be seen."""
    context = context or bpy.context
    if hasattr(panel, "poll") and not panel.poll(context):
        return None
    layout = RecordingLayout()
    drawn = DrawnPanel(panel, layout)
    if hasattr(panel, "draw_header"):
        panel.draw_header(drawn, context)
    panel.draw(drawn, context)
    return layout


def _check_value(rna: bpy.types.Property, value: Any, where: str) -> None:
    """Raises TypeError where Blender's layout would."""
    kinds = {"STRING": str, "BOOLEAN": (bool, int), "INT": int, "FLOAT": (int, float), "ENUM": (str, set)}
    is_array = getattr(rna, "is_array", False)
    if rna.type in kinds and not is_array and not isinstance(value, kinds[rna.type]):
        raise TypeError(f"{where} is {value!r}, and must be of the kind {rna.type}")
    items = set(rna.enum_items.keys()) if rna.type == "ENUM" else set()
    words = {value} if isinstance(value, str) else value
    if items and not set(words) <= items:
        raise TypeError(f"{where} cannot be {value!r}")


def _check_property(data: Any, path: str) -> None:
    if path.startswith("["):
        data.path_resolve(path)
    elif path not in data.bl_rna.properties:
        raise AttributeError(f"{type(data).__name__} has no property '{path}'")


def panels(package: str) -> Iterator[type]:
    """Every registered panel of the extension."""
    for panel in bpy.types.Panel.__subclasses__():
        if panel.__module__.startswith(package) and panel.is_registered:
            yield panel
