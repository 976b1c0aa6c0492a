"""The folder beside a training's output that lets an interrupted training go on."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.captures.capture import PointCloud
from backend.splats.io.atomic import write_bytes
from shared_protocol.errors import UserError

CHECKPOINT_FILES = ("step_*.json", "step_*.safetensors", ".step_*.part")  # as backend.training.checkpoint names them
# As backend.captures names them while it matches photos; only a crash leaves one.
MATCHING_FOLDERS = ("splatwright-points-*", ".splatwright-pose-*")
POINTS_FILE = "points.npz"


@dataclass(frozen=True)
class TrainingFolder:
    """`scene.ply.training/` holds the checkpoints and the starting points of the training that writes `scene.ply`."""

    path: Path

    @classmethod
    def beside(cls, output: Path) -> TrainingFolder:
        return cls(output.with_name(f"{output.name}.training"))

    @property
    def has_checkpoint(self) -> bool:
        return any(self.path.glob("step_*.json"))

    def refuse_without_checkpoint(self, output: Path) -> None:
        """Raises UserError when there is nothing to go on from."""
        if not self.has_checkpoint:
            raise UserError(
                "not_found",
                f"There is nothing to resume: '{self.path}' holds no checkpoint.",
                f"A training that finishes removes its checkpoints; without --resume '{output.name}' is trained anew.",
            )

    def start_anew(self, note: Callable[[str], None]) -> None:
        """Makes the folder empty; says so when it held something that could have been resumed."""
        if self.has_checkpoint:
            note(f"'{self.path}' held an unfinished training; this one replaces it (--resume would have continued it).")
        self.remove()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError("bad_input", f"'{self.path}' cannot be made: {error.strerror or error}.") from error

    @contextmanager
    def removed_without_checkpoint(self) -> Iterator[None]:
        """However the block ends: a folder that nothing can be resumed from is not left behind."""
        try:
            yield
        finally:
            if not self.has_checkpoint:
                self.remove()

    def remove(self) -> None:
        """Removes what trainings put into the folder, and the folder when nothing else is in it."""
        if not self.path.is_dir():
            return
        try:
            for folder in (folder for pattern in MATCHING_FOLDERS for folder in self.path.glob(pattern)):
                shutil.rmtree(folder)
            for pattern in (*CHECKPOINT_FILES, POINTS_FILE, f".{POINTS_FILE}.*.part"):
                for path in self.path.glob(pattern):
                    path.unlink()
            if not any(self.path.iterdir()):
                self.path.rmdir()
        except OSError as error:
            message = f"'{self.path}' cannot be removed: {error.strerror or error}."
            raise UserError("bad_input", message, "Remove it by hand.") from error

    def keep_points(self, points: PointCloud) -> None:
        """Remembers what training started from."""
        content = io.BytesIO()
        np.savez(content, positions=points.positions, colors=points.colors)
        write_bytes(self._points_path, content.getvalue())

    def points(self) -> PointCloud | None:
        """What `keep_points` remembered, or None."""
        if not self._points_path.is_file():
            return None
        try:
            with np.load(self._points_path, allow_pickle=False) as arrays:
                return PointCloud(arrays["positions"], arrays["colors"])
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            message = f"'{self._points_path}' is damaged, so the training cannot be resumed."
            raise UserError("bad_input", message, "Start again without --resume.") from error

    @property
    def _points_path(self) -> Path:
        return self.path / POINTS_FILE
