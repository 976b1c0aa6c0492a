"""Which room may know which, also for imports inside functions and by name, which import-linter does not see."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Lower may not know higher. Rooms that are not written yet stand here already.
BACKEND_ROOMS = (
    "__main__", "cli", "server", "jobs", "store", "methods", "editing", "selection", "meshing", "training", "rigging",
    "captures", "splats", "machine",
)  # fmt: skip
# Higher numbers may not know lower ones; those of one number stand side by side.
ADDON_ROOMS = {"ui": 0, "tick": 0, "wheels": 0, "host": 1, "link": 2, "core": 3, "protocol": 4}

PROTOCOL_MAY_IMPORT = {"shared_protocol", "numpy", "msgspec"}
# One file each there may import what moves bytes, and what makes them fewer.
PROTOCOL_OWN = {"shared_protocol/client.py": {"zmq"}, "shared_protocol/packing.py": {"zstandard"}}
STANDARD = sys.stdlib_module_names | {"compression"}  # which Python has from 3.14 on
DOMAIN = ("store", "methods", "editing", "selection", "meshing", "rigging", "training", "captures", "splats", "machine")

# The name of an installed distribution where it is not the name one imports.
DISTRIBUTION_OF = {"cv2": "opencv-python-headless", "PIL": "pillow", "igl": "libigl", "pxr": "usd-core", "zmq": "pyzmq"}


def imports(text: str, package: str = "") -> Iterator[str]:
    """Every module that the source text imports, wherever it stands; `from a import b` gives "a.b" as well as "a".

    package: the dotted package of the file, to resolve relative imports.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            (first, *_) = node.args
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _is_import_call(function: ast.expr) -> bool:
    return (isinstance(function, ast.Name) and function.id in ("__import__", "import_module")) or (
        isinstance(function, ast.Attribute) and function.attr == "import_module"
    )


def complaints(path: str, text: str) -> list[str]:
    """What the file `path` (with "/", below the repository) imports and may not."""
    parts = Path(path).with_suffix("").parts
    found = sorted(set(imports(text, ".".join(parts[:-1]))))
    if parts[0] == "blender_addon":  # installed, the package has another name
        absolute = {module for module in imports(text) if module.split(".")[0] == parts[0]}
        if absolute:
            return [f"{path} imports {module} by its full name" for module in sorted(absolute)]
    return [f"{path} imports {module}" for module in found if not _may_import(parts, module)]


def _may_import(parts: tuple[str, ...], module: str) -> bool:
    top, *rest = module.split(".")
    if parts[0] == "shared_protocol":
        own = PROTOCOL_MAY_IMPORT | PROTOCOL_OWN.get("/".join(parts) + ".py", set())
        return top in STANDARD or top in own
    if parts[0] == "backend":
        return _backend_may_import(parts[1:], top, rest)
    return _addon_may_import(parts[1:], top, rest)


def _backend_may_import(inside: tuple[str, ...], top: str, rest: list[str]) -> bool:
    if top in ("bpy", "blender_addon"):
        return False
    if top == "zmq":
        return inside[0] not in DOMAIN
    if top == "backend" and rest and rest[0] in BACKEND_ROOMS and inside[0] in BACKEND_ROOMS:
        return BACKEND_ROOMS.index(inside[0]) <= BACKEND_ROOMS.index(rest[0])
    return True


def _addon_may_import(inside: tuple[str, ...], top: str, rest: list[str]) -> bool:
    if top in ("backend", "torch") or (top == "shared_protocol" and inside != ("protocol",)):
        return False
    if inside[0] in ("link", "core", "protocol") and top == "bpy":
        return False
    if inside[0] in ("core", "protocol") and top == "zmq":
        return False
    if top == "blender_addon" and rest and rest[0] in ADDON_ROOMS and inside[0] in ADDON_ROOMS:
        here, there = ADDON_ROOMS[inside[0]], ADDON_ROOMS[rest[0]]
        return here < there or inside[0] == rest[0]
    return True


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (REPOSITORY / room).rglob("*.py"))


OUR_SOURCES = sources("backend", "shared_protocol", "blender_addon")


@pytest.mark.parametrize("path", OUR_SOURCES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    name = path.relative_to(REPOSITORY).as_posix()
    assert complaints(name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shared_protocol/codec.py", "def pack():\n    import torch"),
        ("shared_protocol/codec.py", "import zmq"),
        ("shared_protocol/client.py", "import zstandard"),
        ("shared_protocol/codec.py", "from backend import splats"),
        ("blender_addon/host/objects.py", "import backend.splats"),
        ("blender_addon/link/socket.py", "def load():\n    from torch import Tensor"),
        ("blender_addon/core/state.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bpy"),
        ("blender_addon/core/state.py", "import importlib\nimportlib.import_module('zmq')"),
        ("blender_addon/core/state.py", "from ..host import objects"),
        ("blender_addon/link/socket.py", "from ..host import objects"),
        ("blender_addon/link/socket.py", "import bpy"),
        ("blender_addon/tick.py", "from .ui import panel"),
        ("blender_addon/ui/panel.py", "from blender_addon.host import objects"),
        ("blender_addon/core/state.py", "from shared_protocol.schema import Setting"),
        ("blender_addon/link/socket.py", "def connect():\n    import shared_protocol.client"),
        ("blender_addon/protocol.py", "from .core import state"),
        ("backend/splats/cloud.py", "from backend import jobs"),
        ("backend/splats/cloud.py", "def f():\n    from backend.captures.load import load_capture"),
        ("backend/splats/cloud.py", "from ..training import losses"),
        ("backend/training/loop.py", "from backend.methods.registry import find"),
        ("backend/captures/load.py", "import zmq.asyncio"),
        ("backend/methods/training/mcmc.py", "import backend.server.sockets"),
        ("backend/jobs/run.py", "import backend.cli.train"),
        ("backend/cli/train.py", "import bpy"),
    ],
)
def test_a_forbidden_import_is_found(path: str, text: str) -> None:
    assert complaints(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shared_protocol/client.py", "import zmq"),
        ("shared_protocol/codec.py", "import numpy, msgspec, json\nfrom . import errors"),
        ("blender_addon/ui/panel.py", "import bpy\nfrom ..host import objects"),
        ("blender_addon/host/objects.py", "import bpy\nfrom ..link import socket"),
        ("blender_addon/core/state.py", "from ..protocol import schema"),
        ("blender_addon/protocol.py", "from shared_protocol import schema"),
        ("backend/server/sockets.py", "import zmq\nfrom backend.jobs import running"),
        ("backend/methods/training/mcmc.py", "from backend.training import loop\nimport torch"),
    ],
)
def test_an_allowed_import_is_let_through(path: str, text: str) -> None:
    assert complaints(path, text) == []


def test_every_room_of_the_backend_has_its_place() -> None:
    children = {path.relative_to(REPOSITORY / "backend").parts[0].removesuffix(".py") for path in sources("backend")}
    assert children - {"__init__"} <= set(BACKEND_ROOMS)


def test_whatever_the_backend_imports_is_declared_in_pyproject() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[\s<>=!~\[]", line)[0].lower() for line in lines}
    used = {
        module.split(".")[0]
        for path in sources("backend", "shared_protocol")
        for module in imports(path.read_text(encoding="utf-8"), ".".join(path.relative_to(REPOSITORY).parts[:-1]))
    }
    foreign = used - STANDARD - {"backend", "shared_protocol"}
    assert {
        name for name in foreign if DISTRIBUTION_OF.get(name, name.replace("_", "-")).lower() not in declared
    } == set()
