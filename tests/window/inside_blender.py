"""Runs inside Blender: does what a test says, between two turns of Blender's own event loop.

A test says Python, one JSON line at a time, through a socket in a folder that both see; it is answered with what the
Python put into `answer`, or with the traceback. Errors in a timer do not end Blender, so none is raised here.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import socket
import sys
import traceback
from typing import Any

import bpy

_TURN_S = 0.01

_context: dict[str, Any] = {}
_server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
_test: socket.socket | None = None
_heard = b""


def turn() -> float:
    global _test, _heard
    try:
        if _test is None:
            _test, _ = _server.accept()
            _test.setblocking(False)
        _heard += _test.recv(1 << 20)
    except BlockingIOError:
        return _TURN_S
    while b"\n" in _heard and _test is not None:
        line, _heard = _heard.split(b"\n", 1)
        said = json.dumps(_done(json.loads(line)), default=str)
        _test.setblocking(True)
        _test.sendall(said.encode() + b"\n")
        _test.setblocking(False)
    return _TURN_S


def _done(asked: dict[str, Any]) -> dict[str, Any]:
    _context.update(asked["values"], bpy=bpy, answer=None)
    try:
        exec(asked["python"], _context)  # the test itself wrote it
        return {"answer": _context["answer"]}
    except Exception:  # noqa: BLE001  the test shall see whatever it was
        return {"error": traceback.format_exc()}


faulthandler.register(signal.SIGUSR1, all_threads=True)  # for the test to ask where Blender hangs
_server.bind(sys.argv[sys.argv.index("--") + 1])
_server.listen(1)
_server.setblocking(False)
bpy.context.preferences.view.show_splash = False
bpy.app.timers.register(turn, first_interval=0.2, persistent=True)
