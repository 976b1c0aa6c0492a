from __future__ import annotations

import msgspec

from blender_addon.core.console import ConsoleLines
from blender_addon.core.curve import Curve
from blender_addon.core.session import JobView
from shared_protocol import things


def view(step: int, stage: str = "training", notes: tuple[str, ...] = (), **figures: float) -> JobView:
    state = things.JobState(
        job="j", name="Fern", method="mcmc", status="running", stage=stage, step=step, steps=1000, figures=figures
    )
    return JobView(state, notes=notes)


def test_a_line_comes_with_each_stage_and_then_every_five_seconds() -> None:
    lines = ConsoleLines()
    assert lines.after(view(3, "reading_photos"), 0.0) == ["Fern: Reading photos 3 of 1,000"]
    assert lines.after(view(9, "reading_photos"), 1.0) == []
    assert lines.after(view(0), 1.5) == ["Fern: Training 0 of 1,000"]
    said = [line for second in range(2, 22) for line in lines.after(view(second, psnr=23.456, splats=12345.0), second)]
    assert said == [f"Fern: Training {step} of 1,000, PSNR 23.46 dB, 12,345 splats" for step in (7, 12, 17)]


def test_time_left_and_notes_are_said_and_what_stands_still_is_not() -> None:
    lines, curve = ConsoleLines(), Curve()
    for second in range(10):
        curve = curve.after("training", 10 * second, {}, float(second))
    job = msgspec.structs.replace(view(100), curve=curve)
    assert lines.after(job, 10.0) == ["Fern: Training 100 of 1,000, 2 min left"]
    noted = msgspec.structs.replace(job, notes=("No masks.",))
    assert lines.after(noted, 11.0) == ["Fern: No masks."]
    assert lines.after(noted, 60.0) == []
