# pyright: reportInvalidTypeForm=false, reportIncompatibleMethodOverride=false
"""Starts, connects, stops and installs the backend; shows its log; copies the report of a mistake."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import bpy
import msgspec

from ..core.backend_settings import BackendSettings
from ..core.backend_state import Environment
from ..core.events import Dismissed
from ..host import backend_life, current, preferences
from ..protocol import errors
from . import asking

_INSTALL_S = 4 * 3600.0
_END_S = 20.0


def chosen(**given: str) -> BackendSettings:
    """The preferences, with what a script gave instead of them."""
    return msgspec.structs.replace(preferences.settings(), **{name: value for name, value in given.items() if value})


class StartBackend(bpy.types.Operator):
    """Start the backend, or connect to the one that runs already"""

    bl_idname = "splatwright.backend_start"
    bl_label = "Start the Backend"

    command: bpy.props.StringProperty(name="Command", options={"SKIP_SAVE"})
    workspace: bpy.props.StringProperty(name="Workspace", options={"SKIP_SAVE"})
    device: bpy.props.StringProperty(name="Device", description="auto, cuda or cpu", options={"SKIP_SAVE"})
    timeout: bpy.props.FloatProperty(name="Seconds to wait", default=120.0, min=0.0, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: Any) -> bool:
        return _is_not(cls, ("installing",), "The backend is being installed")

    def execute(self, _context: Any) -> set[str]:
        return asking.attempt(self, self._start)

    def _start(self) -> None:
        wanted = chosen(command=self.command, workspace=self.workspace, device=_device(self.device))
        if current.is_interactive():
            backend_life.start(wanted)
        else:
            backend_life.connect(self.timeout, wanted)


class ConnectBackend(bpy.types.Operator):
    """Connect to a backend that runs already, here or on another machine"""

    bl_idname = "splatwright.backend_connect"
    bl_label = "Connect"

    connection_file: bpy.props.StringProperty(name="Connection file", options={"SKIP_SAVE"})
    address: bpy.props.StringProperty(name="Address", description="HOST:PORT", options={"SKIP_SAVE"})
    key_file: bpy.props.StringProperty(name="Key file", options={"SKIP_SAVE"})
    timeout: bpy.props.FloatProperty(name="Seconds to wait", default=20.0, min=0.0, options={"SKIP_SAVE"})

    def execute(self, _context: Any) -> set[str]:
        return asking.attempt(self, self._connect)

    def _connect(self) -> None:
        mode = "remote" if self.address else "running" if self.connection_file else preferences.settings().mode
        wanted = chosen(
            mode="running" if mode == "local" else mode,
            connection_file=self.connection_file,
            address=self.address,
            key_file=self.key_file,
        )
        backend_life.attach(wanted)
        if not current.is_interactive():
            backend_life.connect(self.timeout, wanted)


class StopBackend(bpy.types.Operator):
    """End the backend that this Blender started; leave any other one. A running job goes on at the next start"""

    bl_idname = "splatwright.backend_stop"
    bl_label = "Stop the Backend"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        if current.open_link() is not None:
            return True
        cls.poll_message_set("The backend is not running")
        return False

    def invoke(self, context: Any, event: Any) -> set[str]:
        session = current.session()
        if session.life.owned and session.active_job is not None:
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, _context: Any) -> set[str]:
        backend_life.stop(0.0 if current.is_interactive() else _END_S)
        return {"FINISHED"}


class _Installing(bpy.types.Operator if TYPE_CHECKING else object):
    """What both operators do; a registered class cannot be inherited from."""

    wheel: bpy.props.StringProperty(name="Wheel", options={"SKIP_SAVE"})
    index: bpy.props.StringProperty(name="Index", options={"SKIP_SAVE"})
    extra_index: bpy.props.StringProperty(name="Second index", options={"SKIP_SAVE"})
    python: bpy.props.StringProperty(name="Python", options={"SKIP_SAVE"})
    device: bpy.props.StringProperty(name="Device", description="auto, cuda or cpu", options={"SKIP_SAVE"})
    consent: bpy.props.BoolProperty(
        name="Download it", description="A script must say that it agrees to the download", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, _context: Any) -> bool:
        return _can_work(cls)

    def invoke(self, context: Any, _event: Any) -> set[str]:
        if asking.attempt(self, self._look) == {"CANCELLED"}:
            return {"CANCELLED"}
        self.consent = True  # by the dialog's button
        return context.window_manager.invoke_props_dialog(
            self, width=480, title=self.bl_label, confirm_text="Download and Install"
        )

    def _look(self) -> None:
        """What the dialog says. Raises UserError when nothing could be installed anyway."""
        from ..core.install_plan import sizes_in_words

        wanted = self._chosen()
        plan, python = _environment().plan_for(wanted)
        source = _environment().source(wanted)
        indexes = " and ".join(filter(None, (source.index, source.extra_index)))
        lines = (
            f"This needs {sizes_in_words(plan)}.",
            plan.note,
            f"Into: {backend_life.places().environment}",
            f"With: {python.path} (Python {python.short_version})",
            f"The backend: {wanted.wheel or 'as it came with the extension'}" if source.wheel else "",
            f"Packages: from {indexes or 'the index that pip is configured for'}",
        )
        self._lines = tuple(filter(None, lines))

    def draw(self, _context: Any) -> None:
        layout: Any = self.layout
        for line in self._lines:
            layout.label(text=line)

    def execute(self, _context: Any) -> set[str]:
        return asking.attempt(self, self._install)

    def _install(self) -> None:
        if not self.consent:
            message = "Nothing was installed, because nobody agreed to the download."
            raise errors.UserError("refused", message, "Pass consent=True.")
        _environment().install(self._chosen())
        _wait_until_it_is("whole")

    def _chosen(self) -> BackendSettings:
        return chosen(
            wheel=self.wheel,
            index=self.index,
            extra_index=self.extra_index,
            python=self.python,
            device=_device(self.device),
        )


class InstallBackend(_Installing, bpy.types.Operator):
    """Make the environment in which the backend runs. Nothing is downloaded before you agree"""

    bl_idname = "splatwright.backend_install"
    bl_label = "Install the Backend"


class RepairBackend(_Installing, bpy.types.Operator):
    """Make the backend's environment anew. What was downloaded before is mostly still there"""

    bl_idname = "splatwright.backend_repair"
    bl_label = "Repair"


class CancelInstall(bpy.types.Operator):
    """Stop the installation at once; what was downloaded is kept"""

    bl_idname = "splatwright.backend_cancel_install"
    bl_label = "Cancel the Installation"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        if current.session().life.state == "installing":
            return True
        cls.poll_message_set("Nothing is being installed")
        return False

    def execute(self, _context: Any) -> set[str]:
        _environment().cancel()
        return {"FINISHED"}


class VerifyBackend(bpy.types.Operator):
    """Have the backend's environment check whether all that it needs is there and works"""

    bl_idname = "splatwright.backend_verify"
    bl_label = "Verify"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        return _can_work(cls)

    def execute(self, _context: Any) -> set[str]:
        return asking.attempt(self, self._verify)

    def _verify(self) -> None:
        _environment().verify()
        _wait_until_it_is("whole")


class RemoveBackend(bpy.types.Operator):
    """Delete the backend's environment. Splats, captures and jobs stay"""

    bl_idname = "splatwright.backend_remove"
    bl_label = "Remove"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        return _can_work(cls)

    def invoke(self, context: Any, event: Any) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: Any) -> set[str]:
        return asking.attempt(self, self._remove)

    def _remove(self) -> None:
        _environment().remove()
        _wait_until_it_is("missing")


class ShowLog(bpy.types.Operator):
    """Open the log of the backend that this Blender started"""

    bl_idname = "splatwright.show_log"
    bl_label = "Show the Log"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        if backend_life.log_file().exists():
            return True
        cls.poll_message_set("There is no log yet")
        return False

    def execute(self, _context: Any) -> set[str]:
        if current.is_interactive():
            bpy.ops.wm.path_open(filepath=str(backend_life.log_file()))
        else:
            self.report({"INFO"}, "\n".join(backend_life.last_lines()))
        return {"FINISHED"}


class CopyReport(bpy.types.Operator):
    """Copy what we need to know about a mistake of ours, to paste it into a message"""

    bl_idname = "splatwright.copy_report"
    bl_label = "Copy Report"

    def execute(self, context: Any) -> set[str]:
        log = backend_life.last_lines(40)
        context.window_manager.clipboard = "\n".join([current.report(), *(["Backend's log:", *log] if log else [])])
        self.report({"INFO"}, "The report is in the clipboard")
        return {"FINISHED"}


class DismissFailure(bpy.types.Operator):
    """Hide the message"""

    bl_idname = "splatwright.dismiss_failure"
    bl_label = "Dismiss"

    def execute(self, _context: Any) -> set[str]:
        current.dispatch(Dismissed())
        return {"FINISHED"}


def _environment() -> ModuleType:
    """Not imported before it is needed: Blender starts without it."""
    from ..host import backend_environment

    return backend_environment


def _device(text: str) -> Any:
    if text not in ("", "auto", "cuda", "cpu"):
        raise errors.UserError("bad_input", f"'{text}' is no device.", "Give auto, cuda or cpu.")
    return text


def _wait_until_it_is(wanted: Environment) -> None:
    """Without a window: until the environment has been worked on. Raises UserError when it is not as wanted then."""
    if current.is_interactive():
        return
    current.wait_until(lambda: not _environment().is_at_work(), _INSTALL_S)
    life = current.session().life
    if life.environment != wanted:
        fix = life.button.operator if life.button is not None else ""
        raise errors.UserError("missing_dependency", life.sentence, fix=fix)


def _can_work(operator: type[bpy.types.Operator]) -> bool:
    return _is_not(operator, ("installing",), "The environment is being worked on") and _is_not(
        operator, ("starting", "running", "busy", "lost"), "Stop the backend first"
    )


def _is_not(operator: type[bpy.types.Operator], states: tuple[str, ...], message: str) -> bool:
    if current.session().life.state in states:
        operator.poll_message_set(message)
        return False
    return True


CLASSES = (
    StartBackend,
    ConnectBackend,
    StopBackend,
    InstallBackend,
    RepairBackend,
    CancelInstall,
    VerifyBackend,
    RemoveBackend,
    ShowLog,
    CopyReport,
    DismissFailure,
)


def register() -> None:
    for operator in CLASSES:
        bpy.utils.register_class(operator)


def unregister() -> None:
    for operator in reversed(CLASSES):
        bpy.utils.unregister_class(operator)
