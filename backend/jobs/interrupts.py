"""Turns Ctrl-C and SIGTERM into a polite stop, and the second one into an end at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from backend.jobs.running import RunningJob

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(job: RunningJob, say: Callable[[str], None], *, before_exit: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first signal stops the job and keeps what it has; before it has anything, the signal
    raises KeyboardInterrupt. A second signal ends the process at once with code 130, after `before_exit()`.

    Only the main thread may call this.
    """
    # Python runs its handlers between two bytecodes of the main thread, so they wait for a long call into C++ to
    # return. The byte that the interpreter writes on each signal reaches a thread of ours even then.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def handle(number: int, frame: FrameType | None) -> None:
        if not job.has_result:
            raise KeyboardInterrupt
        job.interrupt()

    def listen() -> None:
        heard = 0
        while data := ours.recv(16):
            heard += len(data)
            if heard == 1:
                what = "after this step and keeping what there is" if job.has_result else "as soon as possible"
                say(f"Stopping {what}; interrupt again to end at once.")
            else:
                before_exit()
                os._exit(EXIT_CODE)

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    previous_handlers = {number: signal.signal(number, handle) for number in _SIGNALS}
    previous_descriptor = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_descriptor)
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
        theirs.close()
        listener.join()
        ours.close()
