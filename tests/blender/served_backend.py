"""A real `splatwright serve`, in the environment where the backend is installed, with a home of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds; torch alone may need many on a busy machine


class ServedBackend:
    """home: the folder with the connection file, where a client with this SPLATWRIGHT_HOME finds the backend."""

    def __init__(self, python: Path, home: Path) -> None:
        self.python, self.home = python, home
        self.workspace = home / "workspace"
        self.connection_file = home / "backend.json"
        self.log = home / "backend.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Comes back when clients can find it; nothing is done when it runs already."""
        if self.is_running:
            return
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.connection_file.unlink(missing_ok=True)
        command = [self.python, "-m", "backend", "serve", "--workspace", self.workspace, "--device", "cpu", "--owned"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=REPOSITORY,
                env={**os.environ, "SPLATWRIGHT_HOME": str(self.home)},
                stdin=subprocess.PIPE,  # it ends when we do, however we end
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.connection_file.exists():
            assert self.is_running and time.monotonic() < deadline, f"no backend: {self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it the orderly way, which removes the connection file."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            self._process.stdin.write(b"end\n")
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
