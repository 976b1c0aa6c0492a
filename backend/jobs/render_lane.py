"""Does small pieces of work, such as viewport pictures, where no training is disturbed: between two of its steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Piece = tuple["Future[Any]", Callable[[], Any]]


class RenderLane:
    """While a training steps, its thread does the waiting work between two steps; otherwise a thread of the lane does.

    So no work ever reads what a step is changing, and none waits longer than one step.
    """

    def __init__(self, *, on_error: Callable[[BaseException], None]) -> None:
        """on_error: told of everything that work raises, beside the future; called on the thread that did the work."""
        self._waiting: deque[_Piece] = deque()
        self._changed = threading.Condition()
        self._at_work = threading.Lock()
        self._stepping = False
        self._closed = False
        self._on_error = on_error
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """A future that is cancelled before its turn costs nothing."""
        future: Future[_Result] = Future()
        with self._changed:
            if self._closed:
                future.cancel()
            else:
                self._waiting.append((future, work))
                self._changed.notify_all()
        return future

    def begin_steps(self) -> None:
        """From now on work is done in `serve` only. Waits for the work that is being done."""
        with self._changed:
            self._stepping = True
        with self._at_work:
            pass

    def end_steps(self) -> None:
        with self._changed:
            self._stepping = False
            self._changed.notify_all()

    def serve(self) -> None:
        """Does all waiting work on this thread; the training calls it between two steps."""
        while self._waiting and self._work_on_next(stepping=True):
            pass

    def close(self) -> None:
        """Cancels what is waiting."""
        with self._changed:
            self._closed = True
            for future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self._stepping or not self._waiting):
                    self._changed.wait()
                if self._closed:
                    return
            self._work_on_next(stepping=False)

    def _work_on_next(self, *, stepping: bool) -> bool:
        """Returns whether there was anything to do."""
        with self._at_work:
            with self._changed:
                if self._stepping != stepping or not self._waiting:
                    return False
                future, work = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                return True
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  goes to whoever asked, as in every executor
                future.set_exception(error)
                self._on_error(error)
            else:
                future.set_result(result)
            return True
