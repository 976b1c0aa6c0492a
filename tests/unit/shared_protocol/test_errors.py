from __future__ import annotations

from shared_protocol.errors import UserError


def test_an_error_reads_as_message_and_hint() -> None:
    error = UserError("bad_input", "a.json holds no frames.", "Export it again.", fix="export")
    assert str(error) == "a.json holds no frames. Export it again."
    assert (error.kind, error.message, error.hint, error.fix) == (
        "bad_input",
        "a.json holds no frames.",
        "Export it again.",
        "export",
    )


def test_an_error_without_a_hint_is_its_message() -> None:
    assert str(UserError("disk_full", "The disk is full.")) == "The disk is full."
