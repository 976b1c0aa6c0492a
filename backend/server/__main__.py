"""The working child of `splatwright serve`; nobody else starts it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from backend.server import child
from backend.server.family import Orders
from backend.server.seam import Desk
from shared_protocol.messages import Event


def make_desk(orders: Orders, on_event: Callable[[Event], None], on_fatal: Callable[[str], None]) -> Desk:
    from backend.jobs.desk import Desk as TheDesk

    if orders.threads is not None:
        from backend.splats.kernels import set_thread_count

        set_thread_count(orders.threads)
    return TheDesk(Path(orders.workspace), device=orders.device, on_event=on_event, on_fatal=on_fatal)


if __name__ == "__main__":
    sys.exit(child.run(make_desk))
