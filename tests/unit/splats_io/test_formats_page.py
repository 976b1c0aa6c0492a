"""The table in docs/formats.md says of each format what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.splats.io.file_format import Format
from backend.splats.io.formats import FORMATS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_has_a_row_for_each_format() -> None:
    assert len(rows()) == len(FORMATS)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_row_of_a_format_is_true(form: Format) -> None:
    (row,) = [
        row
        for row in rows()
        if all(f"`{suffix}`" in row[1] or f"`{suffix.lstrip('.')}`" in row[1] for suffix in form.suffixes)
        and (row[2] == "yes") is form.can_read
        and (row[3] != "-") is form.can_write
        and ("point" in row[0]) is (form.name == "points")
    ]
    degrees = [int(degree) for degree in row[4].split("-") if degree]  # points have none
    assert max(degrees, default=0) == form.sh_degree
    assert form.frame in row[5]
