"""A real Blender with our extension, whose mouse and keys a test moves, and whose screen it looks at."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from building.window import Rig

HERE = Path(__file__).resolve().parent
NAME = "bl_ext.user_default.splatwright"
PATIENCE = 240  # seconds for anything that a busy machine may be slow at
HANGS = 60  # seconds in which Blender says nothing at all
_TURN_S = 0.05  # in which Blender takes up what the mouse and the keys did
_DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
_ROW = 12  # pixels between two places where a button is looked for


class BlenderWindow:
    """folder: a fresh one; it holds Blender's settings, the backend's home and whatever both shall see."""

    def __init__(self, rig: Rig, zip_file: Path, folder: Path, pictures: Path) -> None:
        self.rig, self.zip_file, self.folder, self.pictures = rig, zip_file, folder, pictures
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.log = folder / "blender.log"
        self._variables = {"BLENDER_USER_RESOURCES": str(folder / "user"), "SPLATWRIGHT_HOME": str(self.home)}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._answers: Any = None
        self._mouse = (0.0, 0.0)
        self._found: dict[str, tuple[float, float]] = {}  # where buttons were seen last

    # ---- its life

    def install(self) -> None:
        """The zip, as an artist would, but without a window."""
        zip_file = Path(shutil.copy(self.zip_file, self.folder))
        words = ["--command", "extension", "install-file", "-r", "user_default", "--enable", zip_file]
        command = self.rig.command(words, shared=[self.folder], variables=self._variables)
        told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (self.folder / "user/extensions/user_default/splatwright").is_dir(), told.stdout + told.stderr

    def batch_command(self, words: list[str | Path]) -> list[str]:
        """Starts Blender with these words and no window."""
        return self.rig.command(words, shared=[self.folder], variables=self._variables)

    def open(self) -> None:
        """Comes back when the window is there and listens."""
        driver = Path(shutil.copy(HERE / "inside_blender.py", self.folder))
        place = self.folder / "test.socket"
        place.unlink(missing_ok=True)
        words = ["--enable-event-simulate", "--python-exit-code", "3", "--python", driver, "--", place]
        command = self.rig.window_command(words, shared=[self.folder], variables=self._variables)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(HANGS)
        wait_for(lambda: place.exists() or self._has_ended(), "the window")
        self._socket.connect(str(place))
        self._answers = self._socket.makefile("rb")
        self._blender = self.ask("__import__('os').getpid()")
        self.run("bpy.context.preferences.addons[name].preferences.command = command", name=NAME, command=str(
            self.rig.backend_command(self.folder)
        ))  # fmt: skip

    def _has_ended(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()[-4000:]
        return False

    def close(self) -> None:
        """At once, as when somebody kills it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        for thing in (self._answers, self._socket):
            thing.close()

    def kill_working_process(self) -> None:
        """Of the backend, which is a parent that only watches and a child that works."""
        parent = json.loads((self.home / "backend.json").read_text(encoding="utf-8"))["process"]
        (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8").split()
        os.kill(int(child), signal.SIGKILL)

    # ---- what is said to it

    def run(self, python: str, **values: Any) -> Any:
        """Runs Python in Blender between two turns of its event loop; what it puts into `answer` comes back."""
        assert self._socket is not None
        self._socket.sendall(json.dumps({"python": python, "values": values}).encode() + b"\n")
        try:
            said = self._answers.readline()
        except TimeoutError:
            os.kill(self._blender, signal.SIGUSR1)
            time.sleep(1)
            raise AssertionError(f"Blender hangs at {self.log.read_text()[-6000:]}") from None
        if not said:
            self._has_ended()
        told = json.loads(said)
        assert "error" not in told, told["error"]
        return told["answer"]

    def ask(self, expression: str, **values: Any) -> Any:
        return self.run(f"answer = ({expression})", **values)

    def wait(self, expression: str, seconds: float = PATIENCE, **values: Any) -> Any:
        """Until the expression is true in Blender; returns what it is then."""
        return wait_for(lambda: self.ask(expression, **values), expression, seconds)

    def session(self, expression: str) -> Any:
        """Something of the extension's `current.session()`, such as "session.life.state"."""
        return self.ask(f"(lambda session: ({expression}))({_SESSION})")

    def wait_for_session(self, expression: str, seconds: float = PATIENCE) -> Any:
        return self.wait(f"(lambda session: ({expression}))({_SESSION})", seconds)

    # ---- mouse and keys; places are pixels from the window's lower left corner

    def move(self, x: float, y: float) -> None:
        self._simulate("MOUSEMOVE", "NOTHING", x, y)

    def click(self, x: float, y: float, button: str = "LEFTMOUSE", **held: bool) -> None:
        self.move(x, y)
        self._simulate(button, "PRESS", x, y, **held)
        self._simulate(button, "RELEASE", x, y, **held)

    def drag(self, *places: tuple[float, float], button: str = "LEFTMOUSE", **held: bool) -> None:
        """From the first place over the others to the last, with the button down."""
        self.move(*places[0])
        self._simulate(button, "PRESS", *places[0], **held)
        for place in places[1:]:
            self._simulate("MOUSEMOVE", "NOTHING", *place, **held)
        self._simulate(button, "RELEASE", *places[-1], **held)

    def press(self, key: str, **held: bool) -> None:
        """Where the mouse is."""
        self._simulate(key, "PRESS", *self._mouse, **held)
        self._simulate(key, "RELEASE", *self._mouse, **held)

    def type(self, text: str) -> None:
        """Into the field that is being edited, or as the numbers of what goes on."""
        for letter in text:
            key = _DIGITS[int(letter)] if letter.isdecimal() else "A"
            self._simulate(key, "PRESS", *self._mouse, unicode=letter)
            self._simulate(key, "RELEASE", *self._mouse)

    def _simulate(self, kind: str, value: str, x: float, y: float, **more: Any) -> None:
        self._mouse = x, y
        event = {"type": kind, "value": value, "x": round(x), "y": round(y), **more}
        self.run("bpy.context.window_manager.windows[0].event_simulate(**event)", event=event)
        self.run("answer = None")  # a turn of its loop, slow where a training takes the processor
        self.run("answer = None")
        time.sleep(_TURN_S)

    # ---- what is where

    def enter_viewport(self) -> None:
        """The mouse goes where keys mean the scene, and where it is in nobody's way."""
        x, y, width, height = self.region()
        self.move(x + 0.15 * width, y + 0.15 * height)

    def open_sidebar(self) -> None:
        """With our tab in front. (Where a tab is drawn cannot be asked, so that it alone is not clicked.)"""
        self.enter_viewport()
        if self.region("UI")[2] <= 1:
            self.press("N")
        wait_for(lambda: self.region("UI")[2] > 1, "the sidebar")
        self.run(_OPEN_TAB)
        time.sleep(3 * _TURN_S)

    def region(self, kind: str = "WINDOW", area: int = 0) -> tuple[int, int, int, int]:
        """x, y, width, height of a region of a 3D viewport; area: its number among those, the largest is 0."""
        return tuple(self.run(_REGION, kind=kind, number=area))

    def find_button(self, wanted: str) -> tuple[float, float]:
        """Where the sidebar has the button of an operator (".backend_start(") or property: the mouse looks for it.

        It looks first around the place where it has come across the button before.
        """
        x, y, width, height = self.region("UI")
        usual = next((place for text, place in self._found.items() if wanted in text), (x, y + height))
        places = [(x + width * share, row) for share in (0.75, 0.25) for row in range(y + height - 4, y, -_ROW)]
        for place in [usual, *sorted(places, key=lambda place: abs(place[1] - usual[1]))]:
            self.move(*place)
            here = self.run(_HOVERED)
            if wanted in here:
                time.sleep(2 * _TURN_S)
                here = self.run(_HOVERED)  # not what was there before
            self._found[here] = place
            if wanted in here:
                return place
        raise AssertionError(f"the sidebar has no button {wanted}")

    def push(self, wanted: str) -> None:
        """Clicks the button of an operator, or of a property, in the sidebar."""
        self.click(*self.find_button(wanted))

    # ---- what is seen

    def settle(self) -> None:
        """Until every viewport shows the newest picture of what it looks at, at full resolution."""
        time.sleep(0.5)  # a movement is noticed by the next tick
        self.wait(f"{_SETTLED}({EYES})")
        time.sleep(0.3)

    def wait_until_shown(self) -> None:
        """Until the largest viewport shows some picture of splats."""
        self.wait(f"any(eye.picture is not None or eye.exact_picture is not None for eye in {EYES})")
        time.sleep(0.3)

    def view(self, name: str, area: int = 0) -> np.ndarray:
        """What the largest viewport shows once it has settled, without the sidebar: uint8 [H, W, 3]."""
        self.settle()
        return cut(self.look(name), *self.free(area))

    def free(self, area: int = 0) -> tuple[float, float, float, float]:
        """left, bottom, right, top of the part of a viewport that no other region covers."""
        x, y, width, height = self.region("WINDOW", area)
        tools, sidebar = self.region("TOOLS", area), self.region("UI", area)
        left = max(x, tools[0] + tools[2]) if tools[2] > 1 else x
        right = min(x + width, sidebar[0]) if sidebar[2] > 1 else x + width
        return left + 8, y + 8, right - 60, y + height - 90  # nor the gizmos and the viewport's own text

    def camera_frame(self) -> tuple[float, float, float, float]:
        """left, bottom, right, top of the scene's camera in the largest viewport, which looks through it."""
        return tuple(self.run(_FRAME))

    def look(self, name: str) -> np.ndarray:
        """The whole screen, uint8 [H, W, 3], which is kept as a picture of that name."""
        path = self.folder / f"{name}.png"
        time.sleep(_TURN_S)
        self.run("import subprocess; subprocess.run(['import', '-window', 'root', path], check=True)", path=str(path))
        self.pictures.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, self.pictures)
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))


def cut(picture: np.ndarray, left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """A part of a picture of the screen, whose places count from the lower left corner."""
    height = len(picture)
    return picture[height - round(top) : height - round(bottom), round(left) : round(right)]


def psnr(picture: np.ndarray, photo: Path, behind: np.ndarray, rim: int = 4) -> float:
    """In dB, of a picture that shows what the photo shows, over `behind` where the photo is transparent.

    picture, behind: uint8 [H, W, 3]. rim: pixels at the border that are not looked at.
    """
    with Image.open(photo) as image:
        resized = np.asarray(image.convert("RGBA").resize(picture.shape[1::-1], Image.Resampling.BICUBIC), float)
    alpha = resized[..., 3:] / 255
    expected = resized[..., :3] * alpha + behind * (1 - alpha)
    inner = slice(rim, -rim)
    return float(-10 * np.log10(np.mean(((picture - expected)[inner, inner] / 255) ** 2)))


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


EYES = f"__import__('importlib').import_module('{NAME}.host.eyes').by_region.values()"
_SESSION = f"__import__('importlib').import_module('{NAME}.host.current').session()"
_REGION = """
areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]
area = sorted(areas, key=lambda area: -area.width * area.height)[number]
region = next(region for region in area.regions if region.type == kind)
answer = region.x, region.y, region.width, region.height
"""
_HOVERED = """
window = bpy.context.window_manager.windows[0]
area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
region = next(region for region in area.regions if region.type == "UI")
answer = ""
with bpy.context.temp_override(window=window, area=area, region=region):
    # There is no other way to ask what lies below the mouse.
    for copy in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
        if copy.poll():
            copy(**({"full_path": True} if "path" in copy.idname() else {}))
            answer = bpy.context.window_manager.clipboard
"""

_OPEN_TAB = """
for region in next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "VIEW_3D").regions:
    if region.type == "UI":
        region.active_panel_category = "Splatwright"
        region.tag_redraw()
"""
_SETTLED = """(lambda eyes: all(
    eye.view.asked is None and (eye.view.wish is None or any(
        ask is not None and ask.wish == eye.view.wish and ask.scale == 1
        for ask in (eye.view.exact, eye.view.shown if eye.source == "none" or eye.has_no_surface else None)
    ))
    for eye in eyes))"""
_FRAME = """
from bpy_extras.view3d_utils import location_3d_to_region_2d
areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]
area = max(areas, key=lambda area: area.width * area.height)
region = next(region for region in area.regions if region.type == "WINDOW")
camera = bpy.context.scene.camera
corners = [
    location_3d_to_region_2d(region, area.spaces.active.region_3d, camera.matrix_world.normalized() @ corner)
    for corner in camera.data.view_frame(scene=bpy.context.scene)
]
x, y = [corner.x + region.x for corner in corners], [corner.y + region.y for corner in corners]
answer = min(x), min(y), max(x), max(y)
"""
