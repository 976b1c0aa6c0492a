"""Pictures and previews: newest wins, and nothing is drawn or copied that the client could not take."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from backend.server.seam import Desk
from backend.server.sessions import Session, Watch
from backend.server.workers import attempt
from shared_protocol.errors import UserError
from shared_protocol.messages import (
    Failed,
    Frame,
    JobChanged,
    PackedPicture,
    Picture,
    Preview,
    Render,
    Superseded,
    WatchJob,
)
from shared_protocol.packing import packed
from shared_protocol.things import ENDED, Message

_MOST_DRAWING = 64  # pictures that a client may wait for
_RETRY_S = 0.5  # after a preview that could not be had, such as that of a job in the queue

Result = TypeVar("Result")


class Frames:
    """Lives on the server's loop."""

    def __init__(
        self,
        desk: Desk,
        post: Callable[[Callable[[], None]], None],
        say: Callable[[Session, int, Message], None],
        changed: Callable[[Session], None],
        aside: Callable[[Callable[[], Any], Callable[[Any], None]], None],
    ) -> None:
        """post: makes a call on the loop. changed: told that a frame waits for the session's credit.

        aside: makes a call on another thread, and hands what came of it back on the loop: for what takes long.
        """
        self._desk, self._post, self._say, self._changed, self._aside = desk, post, say, changed, aside

    def render(self, session: Session, id: int, request: Render) -> None:
        stream = f"stream {request.stream}" if request.stream else f"once {id}"
        if len(session.drawing) + len(session.frames) >= _MOST_DRAWING:
            self._say(session, id, Failed(kind="refused", message="Too many pictures are waited for."))
            return
        self._overtake(session, stream)
        future = attempt(lambda: self._desk.render(request))
        if isinstance(future, Failed):
            self._say(session, id, future)
            return
        session.drawing[stream] = (id, future)
        drawn = self._pack if request.compress else self._drawn
        future.add_done_callback(lambda done: self._post(lambda: drawn(session, stream, id, _outcome(done))))

    def put(self, session: Session, stream: str, id: int, frame: Frame) -> None:
        """Lets the frame wait for credit, in the place of an older one of its stream."""
        self._overtake_waiting(session, stream)
        session.frames[stream] = (id, frame)
        self._changed(session)

    def watch(self, session: Session, request: WatchJob) -> None:
        """Raises UserError when there is no such job."""
        session.watches.pop(request.job, None)
        if request.every_s > 0 and self._desk.job(request.job).status not in ENDED:
            session.watches[request.job] = Watch(request.every_s)

    def happened(self, session: Session, event: JobChanged) -> None:
        if event.job.status in ENDED:
            session.watches.pop(event.job.job, None)

    def tick(self, session: Session, now: float) -> None:
        """Asks for the previews that are due and could be sent."""
        if session.bulk is None or session.credit < 1:
            return
        for job, watch in list(session.watches.items()):
            if watch.future is None and now >= watch.due and _preview_stream(job) not in session.frames:
                watch.due = now + watch.every_s
                future = attempt(lambda job=job: self._desk.snapshot(job))
                if isinstance(future, Failed):
                    watch.due = now + max(watch.every_s, _RETRY_S)
                    continue
                watch.future = future
                future.add_done_callback(
                    lambda done, job=job, watch=watch: self._post(lambda: self._taken(session, job, watch, done))
                )

    def _pack(self, session: Session, stream: str, id: int, outcome: Picture | Failed) -> None:
        """It counts as being drawn until it is packed, so that a newer request still overtakes it."""
        if isinstance(outcome, Failed):
            self._drawn(session, stream, id, outcome)
        else:
            self._aside(lambda: packed(outcome), lambda smaller: self._drawn(session, stream, id, smaller))

    def _drawn(self, session: Session, stream: str, id: int, outcome: Picture | PackedPicture | Failed) -> None:
        if session.drawing.get(stream, (None, None))[0] != id:
            return  # it was overtaken, and its request has been answered
        del session.drawing[stream]
        if isinstance(outcome, Failed):
            self._say(session, id, outcome)
        else:
            self.put(session, stream, id, outcome)

    def _taken(self, session: Session, job: str, watch: Watch, done: Future[Preview]) -> None:
        watch.future = None
        if session.watches.get(job) is watch:
            outcome = _outcome(done)
            if not isinstance(outcome, Failed):  # else the job paused or ended in between
                self.put(session, _preview_stream(job), 0, outcome)

    def _overtake(self, session: Session, stream: str) -> None:
        id, future = session.drawing.pop(stream, (0, None))
        if future is not None:
            future.cancel()
            self._say(session, id, Superseded())
        self._overtake_waiting(session, stream)

    def _overtake_waiting(self, session: Session, stream: str) -> None:
        id, _ = session.frames.pop(stream, (0, None))
        if id:
            self._say(session, id, Superseded())


def _preview_stream(job: str) -> str:
    return f"preview {job}"


def _outcome(done: Future[Result]) -> Result | Failed:
    def result() -> Result:
        try:
            return done.result()
        except CancelledError as error:
            raise UserError("connection", "The backend is ending.", "Ask again when it is back.") from error

    return attempt(result)
