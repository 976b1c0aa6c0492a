"""No file or message can make us run code: nothing unpickles, and nothing evaluates text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Modules whose reading functions run what they read.
FORBIDDEN_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_FUNCTIONS = {
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "torch.hub.load",
    "yaml.load",
    "pandas.read_pickle",
}
FORBIDDEN_BUILTINS = {"eval", "exec", "compile", "__import__"}


def complaints(text: str) -> Iterator[str]:
    """What in the source text could run what it reads."""
    tree = ast.parse(text)
    full_names = _names_of_imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"imports {name.name}" for name in node.names if name.name.split(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in FORBIDDEN_MODULES:
                yield f"imports {node.module}"
            names = (f"{node.module}.{name.name}" for name in node.names)
            yield from (f"imports {name}" for name in names if name in FORBIDDEN_FUNCTIONS)
        elif isinstance(node, ast.Attribute):
            name = _dotted(node, full_names)
            if name in FORBIDDEN_FUNCTIONS:
                yield f"uses {name}"
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_BUILTINS:
                yield f"calls {node.func.id}"
            yield from _pickles_allowed_by(node)


def _pickles_allowed_by(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        is_off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg == "allow_pickle" and not is_off:
            yield "sets allow_pickle"


def _names_of_imports(tree: ast.AST) -> dict[str, str]:
    """What `import torch as t` makes of "t"."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.asname: name.name for name in node.names if name.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return found


def _dotted(node: ast.expr, full_names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, full_names)}.{node.attr}"
    return full_names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def our_sources() -> list[Path]:
    rooms = ("backend", "shared_protocol", "blender_addon", "benchmarks")
    return [REPOSITORY / "build.py", *sorted(path for room in rooms for path in (REPOSITORY / room).rglob("*.py"))]


@pytest.mark.parametrize("path", our_sources(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_code_runs_what_it_reads(path: Path) -> None:
    assert list(complaints(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "import cloudpickle as c",
        "import torch\ntorch.load('x.pt')",
        "import torch as t\nt.load('x.pt', weights_only=True)",
        "from torch import load",
        "from torch import jit\njit.load('x')",
        "reader = torch.load",
        "import numpy as np\nnp.load('x.npy', allow_pickle=True)",
        "np.load('x.npy', allow_pickle=trusted)",
        "eval('1 + 1')",
        "exec(text)",
        "__import__(name)",
    ],
)
def test_a_dangerous_call_is_found(text: str) -> None:
    assert list(complaints(text))


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "np.load('x.npy', allow_pickle=False)",
        "import json\njson.load(file)",
        "import re\nre.compile('x')",
        "from safetensors.numpy import load_file\nload_file('x')",
    ],
)
def test_a_harmless_call_is_let_through(text: str) -> None:
    assert list(complaints(text)) == []
