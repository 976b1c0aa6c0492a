# pyright: reportAttributeAccessIssue=false
"""Train: what to train and how, and the jobs there are, with the figures of the one that is looked at."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import wording
from ..core.session import JobView
from ..host import current, properties
from ..protocol import things
from . import icons, settings_panel
from .chosen_splats import active_splats
from .operators_train import shown_job
from .paragraphs import figures, paragraph
from .sidebar import SidebarPanel

_MOST_JOBS = 8
_TILES = 4
_TILE_SCALE = 2.7
_ICONS: dict[things.JobStatus, Any] = {
    "queued": "TIME",
    "running": "PLAY",
    "paused": "PAUSE",
    "finished": "CHECKMARK",
    "stopped": "SNAP_FACE",
    "cancelled": "X",
    "failed": "ERROR",
}


class SPLATWRIGHT_PT_train(SidebarPanel, bpy.types.Panel):
    bl_label = "Train"

    def draw(self, context: Any) -> None:
        layout, chosen = self.layout, context.scene.splatwright
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(chosen, "quality")
        column.prop(chosen, "method")
        method = properties.method_called(chosen.method)
        if method is not None and method.takes_mesh:
            column.prop(chosen, "bind_mesh")
        header, body = layout.panel("SPLATWRIGHT_train_limits", default_closed=True)
        header.label(text="Limits and Masks")
        if body is not None:
            _draw_limits(body, chosen)
        if method is not None:
            settings_panel.draw_folded(layout, context.scene, method)
        _draw_start(layout, context)
        job = shown_job(context)
        if job is not None:
            draw_job(layout.box(), context, job)


def _draw_limits(layout: Any, chosen: object) -> None:
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for name in ("steps", "max_splats", "resolution", "masks"):
        column.prop(chosen, name)


def _draw_start(layout: Any, context: Any) -> None:
    session, chosen = current.session(), context.scene.splatwright
    if not session.is_connected:
        paragraph(layout, context, "Start the backend above, then train.", "INFO")
    elif chosen.capture_kind == "FOLDER" and not chosen.capture_path:
        paragraph(layout, context, "Choose a folder of photos in Capture, then train.", "INFO")
    is_busy = session.active_job is not None
    row = layout.row()
    row.scale_y = 1.0 if is_busy else 1.5
    row.operator("splatwright.start_training", text="Train Another" if is_busy else "Start Training", icon="PLAY")
    splats = active_splats(context)
    if splats is None or session.job_of_asset(splats.splatwright.asset) is not None:
        return
    row = layout.row(align=True)
    button = row.operator("splatwright.start_training", text=f"Go On from {splats.name}", icon="FORWARD")
    button.splats = splats.name
    if splats.splatwright.selection:
        button = row.operator("splatwright.start_training", text="Only Selected", icon="RESTRICT_SELECT_OFF")
        button.splats, button.only_selected = splats.name, True


def draw_job(layout: Any, context: Any, job: JobView) -> None:
    """All about one job, and the buttons that fit its state."""
    state = job.state
    layout.label(text=f"{state.name}: {wording.doing(job)}", icon=_ICONS[state.status])
    if not job.is_over and state.steps:
        left = job.seconds_left
        text = f"{state.step:,} of {state.steps:,}"
        layout.progress(
            factor=state.step / state.steps, text=text if left is None else f"{text}, {wording.duration(left)} left"
        )
    if any(point.psnr is not None for point in job.curve.points):
        row = layout.row(align=True)
        row.alignment = "CENTER"
        for tile in icons.curve_tiles(job, _TILES):
            row.template_icon(icon_value=tile, scale=_TILE_SCALE)
    _draw_figures(layout, state)
    if state.failure is not None:
        paragraph(layout, context, f"{state.failure.message} {state.failure.hint}", "ERROR")
    elif job.notes:
        paragraph(layout, context, job.notes[-1], "INFO")
    _draw_buttons(layout, job)


def _draw_figures(layout: Any, state: things.JobState) -> None:
    pairs: list[tuple[str, str]] = []
    if "psnr" in state.figures:
        pairs.append(("Quality", f"{state.figures['psnr']:.2f} dB PSNR"))
    if state.figures.get("splats"):
        pairs.append(("Splats", wording.count(int(state.figures["splats"]))))
    device = current.session().device
    if device and state.status == "running":
        pairs.append(("Computes on", device))
    if pairs:
        figures(layout, *pairs)


def _draw_buttons(layout: Any, job: JobView) -> None:
    """What is being done already can be asked for once; its opposite can be, too."""
    state, row = job.state, layout.row(align=True)
    if state.status in ("queued", "running") and job.wish != "pause":
        row.operator("splatwright.pause_job", icon="PAUSE").job = state.job
    if (state.status in ("paused", "failed", "stopped") and job.wish != "resume") or job.wish == "pause":
        row.operator("splatwright.resume_job", icon="PLAY").job = state.job
    if state.status in ("queued", "running", "paused"):
        if state.category == "training" and state.status != "queued":
            row.operator("splatwright.stop_job", icon="SNAP_FACE").job = state.job
        row.operator("splatwright.cancel_job", text="", icon="TRASH").job = state.job
    if state.status == "finished" and state.category == "meshing":
        row.operator("splatwright.fetch_mesh", icon="MESH_DATA").job = state.job


class SPLATWRIGHT_PT_jobs(SidebarPanel, bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = "SPLATWRIGHT_PT_train"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return len(current.session().jobs) > 1

    def draw(self, context: Any) -> None:
        shown = shown_job(context)
        column = self.layout.column(align=True)
        for job in listed_jobs():
            state = job.state
            text = f"{state.name}: {wording.doing(job)}"
            is_shown = shown is not None and shown.state.job == state.job
            row = column.row(align=True)
            name = row.row()
            name.alignment = "LEFT"
            name.operator(
                "splatwright.show_job", text=text, icon=_ICONS[state.status], depress=is_shown, emboss=is_shown
            ).job = state.job
            if state.status in ("paused", "failed", "stopped"):
                row.operator("splatwright.resume_job", text="", icon="PLAY").job = state.job


def listed_jobs() -> list[JobView]:
    """The newest jobs, first those that are not over."""
    jobs = list(reversed(current.session().jobs.values()))
    return sorted(jobs, key=lambda job: job.is_over)[:_MOST_JOBS]


CLASSES = (SPLATWRIGHT_PT_train, SPLATWRIGHT_PT_jobs)
