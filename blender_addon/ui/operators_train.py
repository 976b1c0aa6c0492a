# pyright: reportAttributeAccessIssue=false
"""Starts trainings, and steers jobs: pause, resume, stop and keep, throw away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..core import events, wording
from ..core.session import JobView, Wish
from ..host import current, objects, properties, settings_properties, training_mesh
from ..protocol import errors, messages, things
from . import asking, uploads
from .chosen_splats import chosen_splats

if TYPE_CHECKING:
    from ..protocol import remote


def shown_job(context: Any) -> JobView | None:
    """The training that the panel shows: the one picked, else the one at work, else the newest."""
    session = current.session()
    picked = session.jobs.get(context.window_manager.splatwright.job)
    if picked is not None:
        return picked
    trainings = [job for job in session.jobs.values() if job.state.category == "training"]
    at_work = [job for job in trainings if not job.is_over]
    return next(reversed(at_work or trainings), None)


class SPLATWRIGHT_OT_start_training(bpy.types.Operator):
    bl_idname = "splatwright.start_training"
    bl_label = "Start Training"
    bl_description = "Train splats from the capture; they appear in the viewport while they are trained"
    bl_options = {"REGISTER"}

    capture: bpy.props.StringProperty(
        name="Capture", description="A capture folder; empty: the scene's", subtype="DIR_PATH"
    )
    name: bpy.props.StringProperty(name="Name", description="Of the splats; empty: the folder's name")
    method: bpy.props.StringProperty(name="Method", description="How to train; empty: the scene's choice")
    quality: bpy.props.StringProperty(name="Quality", description="draft, normal or high; empty: the scene's choice")
    steps: bpy.props.IntProperty(name="Steps", description="0: the scene's choice", min=0)
    max_splats: bpy.props.IntProperty(name="Most Splats", description="0: the scene's choice", min=0)
    resolution: bpy.props.IntProperty(name="Resolution", description="0: the scene's choice", min=0)
    masks: bpy.props.StringProperty(
        name="Masks", description="auto, ignore, segment, alpha or off; empty: the scene's choice"
    )
    mesh: bpy.props.StringProperty(
        name="Mesh", description="For methods on a mesh, the one that the splats hang on; empty: the scene's choice"
    )
    splats: bpy.props.StringProperty(
        name="Splats", description="The splat object that training goes on from; empty: it begins with points"
    )
    only_selected: bpy.props.BoolProperty(
        name="Only Selected", description="Of these splats only those that are selected may change", default=False
    )
    settings: bpy.props.StringProperty(
        name="Settings", description='Of the method, over those of the scene, such as {"sh_degree": 2}'
    )
    wait: bpy.props.BoolProperty(
        name="Wait", description="Without a window: return when the training has ended", default=False
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._start(context))

    def _start(self, context: Any) -> None:
        folder = Path(self.capture or capture_folder(context.scene))
        # The operator is gone when the thread begins.
        name, options = self.name, self._options(context.scene, folder) | self._goes_on_from(context)

        def begin(backend: remote.Backend) -> tuple[things.JobState, things.AssetInfo]:
            with uploads.sending(backend, folder.name) as upload:
                state = backend.train(folder, name, **upload, **options).state()
            return state, next(asset for asset in backend.assets() if asset.asset == state.asset)

        asking.ask(begin, _started)
        if self.wait and not current.is_interactive():
            job = context.window_manager.splatwright.job
            self.report({"INFO"}, _outcome(asking.wait_for_job(job)))

    def _options(self, scene: Any, capture: Path) -> dict[str, Any]:
        """The fields of the protocol's `Train`; what is automatic is left out."""
        chosen = scene.splatwright
        method = properties.method_called(self.method or chosen.method)
        if method is None or method.category != "training":
            known = ", ".join(m.id for m in properties.methods_of("training"))
            raise errors.UserError("bad_input", f"There is no training method '{self.method}'.", f"There are: {known}.")
        settings = settings_properties.values(properties.settings_of(scene, method), method)
        options: dict[str, Any] = {
            "method": method.id,
            "settings": settings | wording.settings_from_text(self.settings),
            "quality": self.quality or chosen.quality,
            "masks": self.masks or chosen.masks,
        }
        for name in ("steps", "max_splats", "resolution"):
            number = getattr(self, name) or getattr(chosen, name)
            if number:
                options[name] = number
        if method.takes_mesh:
            mesh = bpy.data.objects.get(self.mesh) if self.mesh else chosen.bind_mesh
            options |= training_mesh.fields(mesh, capture)
        return options

    def _goes_on_from(self, context: Any) -> dict[str, Any]:
        """The fields that name what training goes on from. Raises UserError when it cannot."""
        if not self.splats:
            return {}
        object = chosen_splats(self.splats, context)
        own = object.splatwright
        if current.session().job_of_asset(own.asset) is not None:
            raise errors.UserError("refused", "A job is still working on these splats.", "Wait for it, or cancel it.")
        return {
            "start_asset": own.asset,
            "start_version": own.version,
            "start_selection": own.selection,
            "start_hidden": own.hidden,
            "learns": "selection" if self.only_selected else "all",
        }


def capture_folder(scene: Any) -> str:
    """The folder of the scene's capture. Raises UserError when there is none yet."""
    chosen = scene.splatwright
    if chosen.capture_kind == "SCENE":
        folder = bpy.path.abspath(chosen.capture.folder)
        if not (Path(folder) / "transforms.json").is_file():
            raise errors.UserError("bad_input", "This scene has not been captured yet.", "Capture it first.")
        return folder
    if not chosen.capture_path:
        message, hint = "No capture folder is chosen.", "Choose a folder of photos in the Capture panel."
        raise errors.UserError("bad_input", message, hint)
    return bpy.path.abspath(chosen.capture_path)


def _started(begun: tuple[things.JobState, things.AssetInfo]) -> None:
    state, asset = begun
    asking.learn(state, asset)
    bpy.context.window_manager.splatwright.job = state.job
    if not objects.objects_of(asset.asset):  # else it goes on, and they show what it has come to
        objects.create(bpy.context, current.session().assets[asset.asset], follow_job=True)
        objects.push_undo(f"Train {state.name}")
    current.redraw()


def _outcome(state: things.JobState) -> str:
    splats = current.session().assets[state.asset].splats if state.asset in current.session().assets else 0
    parts = [f"{state.name}: {wording.status(state)}", wording.splats(splats)]
    if "psnr" in state.figures:
        parts.append(f"PSNR {state.figures['psnr']:.2f} dB")
    return ", ".join(parts)


# ---- jobs


class JobOperator:
    """An operator on a job; without a name it is the one that the panel shows."""

    job: bpy.props.StringProperty(name="Job", description="Which job; empty: the one that the panel shows")
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not asking.can_ask(cls):
            return False
        if current.is_interactive() and not current.session().jobs:
            cls.poll_message_set("There is no job")
            return False
        return True

    wish: Wish

    def request(self, job: str) -> messages.Request:
        raise NotImplementedError

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._steer(context))

    def _steer(self, context: Any) -> None:
        job = self.job
        if not job:
            if not current.is_interactive():
                current.connect()  # then the jobs are known
            view = shown_job(context)
            if view is None:
                raise errors.UserError("not_found", "There is no job.", "Start a training first.")
            job = view.state.job
        request = self.request(job)

        def answered(status: things.JobStatus | None) -> None:
            current.dispatch(events.SteerAnswered(job, status))

        def steer(backend: remote.Backend) -> messages.JobList:
            try:
                return backend.request(request, messages.JobList)
            except Exception:
                current.post(lambda: answered(None))
                raise

        current.dispatch(events.SteerAsked(job, self.wish))
        try:
            asking.ask(steer, lambda said: answered(said.jobs[0].status))
        except errors.UserError:
            answered(None)
            raise


class SPLATWRIGHT_OT_pause_job(JobOperator, bpy.types.Operator):
    bl_idname = "splatwright.pause_job"
    bl_label = "Pause"
    bl_description = "Let the job rest; it can be resumed at any time, also after Blender was closed"

    wish = "pause"

    def request(self, job: str) -> messages.Request:
        return messages.PauseJob(job=job)


class SPLATWRIGHT_OT_resume_job(JobOperator, bpy.types.Operator):
    bl_idname = "splatwright.resume_job"
    bl_label = "Resume"
    bl_description = "Go on with a job that rests, failed or was stopped early"

    wish = "resume"

    def request(self, job: str) -> messages.Request:
        return messages.ResumeJob(job=job)


class SPLATWRIGHT_OT_stop_job(JobOperator, bpy.types.Operator):
    bl_idname = "splatwright.stop_job"
    bl_label = "Stop and Keep"
    bl_description = "End the job now and keep the splats as they are"

    wish = "stop"

    def request(self, job: str) -> messages.Request:
        return messages.CancelJob(job=job, keep=True)


class SPLATWRIGHT_OT_cancel_job(JobOperator, bpy.types.Operator):
    bl_idname = "splatwright.cancel_job"
    bl_label = "Throw Away"
    bl_description = "End the job now and throw away what it has made"

    wish = "cancel"

    def invoke(self, context: Any, event: Any) -> set[Any]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Throw the Job Away?",
            message="What it has made so far is lost.",
            confirm_text="Throw Away",
        )

    def request(self, job: str) -> messages.Request:
        return messages.CancelJob(job=job, keep=False)


class SPLATWRIGHT_OT_show_job(bpy.types.Operator):
    bl_idname = "splatwright.show_job"
    bl_label = "Show Job"
    bl_description = "Show this job in the panel"
    bl_options = {"INTERNAL"}

    job: bpy.props.StringProperty(name="Job", description="Which job")

    def execute(self, context: Any) -> set[Any]:
        context.window_manager.splatwright.job = self.job
        return {"FINISHED"}


CLASSES = (
    SPLATWRIGHT_OT_start_training,
    SPLATWRIGHT_OT_pause_job,
    SPLATWRIGHT_OT_resume_job,
    SPLATWRIGHT_OT_stop_job,
    SPLATWRIGHT_OT_cancel_job,
    SPLATWRIGHT_OT_show_job,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
