"""The one error that is meant for the user's eyes."""

from __future__ import annotations

from typing import Literal

ErrorKind = Literal[
    "bad_input",  # a file, folder or value the user gave
    "not_found",
    "unsupported",  # understood, but nothing here can do it
    "missing_dependency",
    "out_of_memory",
    "disk_full",
    "diverged",  # training produced NaN or Inf
    "connection",
    "refused",
]


class UserError(Exception):
    """Something the user can mend.

    message: one plain sentence that says what is wrong and names the file or setting.
    hint: one plain sentence that says what to do about it; may be empty.
    fix: the id of an action that mends it (a command line or an operator); may be empty.
    """

    def __init__(self, kind: ErrorKind, message: str, hint: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.hint = hint
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
