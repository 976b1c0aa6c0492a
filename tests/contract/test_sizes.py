from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("sizes.py")
spec = importlib.util.spec_from_file_location("sizes", SCRIPT)
assert spec is not None and spec.loader is not None
sizes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sizes)


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("def f():\n" + "    x = 1\n" * 59, []),
        ("def f():\n" + "    x = 1\n" * 60, ["warning: a.py:1 f has 61 lines (goal 60)"]),
        ("class A:\n    async def f():\n" + "        x = 1\n" * 60, ["warning: a.py:2 f has 61 lines (goal 60)"]),
        ("x = 1\n" * 400, []),
        ("x = 1\n" * 401, ["warning: a.py has 401 lines (goal 400)"]),
        ("x = 1\n" * 601, ["error: a.py has 601 lines (goal 400)"]),
    ],
)
def test_what_is_too_long_is_named(text: str, complaints: list[str]) -> None:
    assert list(sizes.complaints("a.py", text)) == complaints


def test_only_far_too_long_files_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "backend" / "room").mkdir(parents=True)
    (tmp_path / "build.py").write_text("x = 1\n")
    (tmp_path / "backend" / "room" / "long.py").write_text("x = 1\n" * 401)
    assert sizes.main(tmp_path) == 0
    assert "backend/room/long.py has 401" in capsys.readouterr().out
    (tmp_path / "backend" / "room" / "huge.py").write_text("x = 1\n" * 601)
    assert sizes.main(tmp_path) == 1
