"""`serve` as a process of its own, with the fake child: folder, and "owned" with a policy, or nothing."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import msgspec

from backend.server.family import Orders, Patience
from backend.server.listening import Address
from backend.server.parent import Parent
from shared_protocol.errors import UserError


def main(home: str, workspace: str = "workspace", at_end: str = "") -> int:
    folder = Path(home)
    orders = Orders(
        workspace=str(folder / workspace),
        address=Address(),
        token=secrets.token_hex(32),
        keys=str(folder / "keys"),
        patience=msgspec.json.decode(os.environ.get("FAKE_SERVE_PATIENCE", "{}"), type=Patience),
    )
    command = (sys.executable, str(Path(__file__).with_name("fake_child.py")))
    parent = Parent(orders, folder / "backend.json", at_end=at_end or "finish", say=print, command=command)
    if at_end:
        parent.watch_owner(sys.stdin.fileno())
    try:
        parent.run()
    except UserError as error:
        print(error)
        return 1
    assert "torch" not in sys.modules, "the parent must stay small"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
