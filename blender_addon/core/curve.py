"""The figures of a job over its steps, thinned for drawing, and how long the job will still take."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MOST_POINTS = 240  # enough for the widest sidebar; twice as many are kept before every second one goes
_MARKS = 24
_MARK_APART_S = 0.5
_LEAST_INTERVALS = 4
_LEAST_SPAN_S = 3.0


class Point(msgspec.Struct, frozen=True):
    """What a job reported at one step; None = not looked at in this step."""

    step: int
    loss: float | None = None
    psnr: float | None = None  # dB, over some held-out photos
    splats: int | None = None


class Mark(msgspec.Struct, frozen=True):
    """When a step was heard of, on the clock of the events."""

    at: float  # seconds
    step: int


class Curve(msgspec.Struct, frozen=True):
    """points: in rising steps. stage, marks: of the stage that the job is in now."""

    points: tuple[Point, ...] = ()
    apart: int = 1  # every how manieth report becomes a point
    waiting: int = 0  # reports since the last point
    stage: str = ""
    marks: tuple[Mark, ...] = ()

    def after(self, stage: str, step: int, figures: Mapping[str, float], at: float) -> Curve:
        """The curve with one more report. at: seconds on a clock that never goes back."""
        return self._timed(stage, step, at)._drawn(step, figures)

    def rested(self) -> Curve:
        """The job paused or its process died: the time until its next step says nothing about its speed."""
        return msgspec.structs.replace(self, marks=())

    def seconds_left(self, step: int, steps: int) -> float | None:
        """By the median of recent intervals, so that one slow evaluation does not count. None = too early to say."""
        intervals = [(b.at - a.at, b.step - a.step) for a, b in zip(self.marks, self.marks[1:], strict=False)]
        if len(intervals) < _LEAST_INTERVALS or self.marks[-1].at - self.marks[0].at < _LEAST_SPAN_S or step >= steps:
            return None
        paces = sorted(seconds / count for seconds, count in intervals)
        return (steps - step) * paces[len(paces) // 2]

    def _timed(self, stage: str, step: int, at: float) -> Curve:
        marks = self.marks
        if stage != self.stage or (marks and step < marks[-1].step):
            marks = ()
        if not marks or (step > marks[-1].step and at - marks[-1].at >= _MARK_APART_S):
            marks = (*marks, Mark(at, step))[-_MARKS:]
        return msgspec.structs.replace(self, stage=stage, marks=marks)

    def _drawn(self, step: int, figures: Mapping[str, float]) -> Curve:
        loss, psnr, splats = figures.get("loss"), figures.get("psnr"), figures.get("splats")
        if loss is None and psnr is None:
            return self  # a stage that does not train
        point = Point(step, loss, psnr, None if splats is None else int(splats))
        points = self.points
        if points and step <= points[-1].step:  # resumed from a checkpoint: what came after it is void
            points = tuple(earlier for earlier in points if earlier.step < step)
        waiting, apart = self.waiting + 1, self.apart
        if points and waiting < apart:
            return msgspec.structs.replace(self, points=points, waiting=waiting)
        points, waiting = (*points, point), 0
        if len(points) >= 2 * MOST_POINTS:
            points, waiting, apart = points[::2], apart, 2 * apart  # the newest one went, too
        return msgspec.structs.replace(self, points=points, waiting=waiting, apart=apart)
