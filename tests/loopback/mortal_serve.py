"""`serve` with real training, whose working child is killed more often than a user would put up with: HOME."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from backend.server import parent
from backend.server.family import Orders
from backend.server.listening import Address

parent.MOST_RESTARTS = 100


def main(home: Path) -> None:
    orders = Orders(
        workspace=str(home / "workspace"),
        address=Address(),
        token=secrets.token_hex(32),
        keys=str(home / "keys"),
        device="cpu",
        threads=1,
    )
    command = (sys.executable, str(Path(__file__).with_name("mortal_child.py")))
    parent.Parent(orders, home / "backend.json", say=print, command=command).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
