"""A training's state on disk: whole or not at all, and the last good one is kept until the next is complete."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
from torch import Tensor

from backend.splats.io.atomic import write_bytes
from shared_protocol.errors import UserError

_FORMAT = 1
_KEPT = 2


class _Card(msgspec.Struct, frozen=True):
    """The JSON beside the tensors; it is written last, so a card without its tensors does not happen."""

    format: int
    step: int
    identity: dict[str, Any]
    facts: dict[str, Any]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Checkpoint:
    step: int
    tensors: dict[str, Tensor]  # on the CPU
    facts: dict[str, Any]


@dataclass
class CheckpointStore:
    """The checkpoints of one training in one folder.

    identity: what must be the same for a checkpoint to be continued: method, settings, plan, capture.
    """

    folder: Path
    identity: dict[str, Any]
    note: Callable[[str], None]
    _ours: list[int] = field(default_factory=list)  # steps written or read by this run

    def save(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Writes a checkpoint and then removes all but the newest two of this run.

        Raises UserError when the disk is full; what was there before stays.
        """
        content = safetensors.torch.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
        card = _Card(_FORMAT, step, self.identity, facts, len(content), hashlib.sha256(content).hexdigest())
        write_bytes(self._tensors_path(step), content)
        write_bytes(self._card_path(step), msgspec.json.format(msgspec.json.encode(card)))
        self._ours = [*(known for known in self._ours if known != step), step][-_KEPT:]
        self._remove_others()

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; None when there is none.

        Raises UserError when the checkpoints belong to a training with other settings or another capture.
        """
        for path in sorted(self.folder.glob("step_*.json"), reverse=True):
            checkpoint = self._read(path)
            if checkpoint is not None:
                self._ours = [checkpoint.step]
                return checkpoint
            self.note(f"The checkpoint '{path.name}' is damaged and is passed over.")
        return None

    def _read(self, path: Path) -> Checkpoint | None:
        """None when the card or its tensors are damaged."""
        try:
            card = msgspec.json.decode(path.read_bytes(), type=_Card)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if card.format != _FORMAT:
            message = f"The checkpoint '{path}' was written by another version."
            raise UserError("unsupported", message, "Start again without --resume.")
        tensors_path = self._tensors_path(card.step)
        if not tensors_path.is_file():
            return None
        content = tensors_path.read_bytes()
        if len(content) != card.bytes or hashlib.sha256(content).hexdigest() != card.sha256:
            return None
        self._refuse_other(card.identity)
        return Checkpoint(card.step, safetensors.torch.load(content), card.facts)

    def _refuse_other(self, identity: dict[str, Any]) -> None:
        own = msgspec.to_builtins(self.identity)
        differing = [key for key in sorted(own.keys() | identity.keys()) if own.get(key) != identity.get(key)]
        if differing:
            what = _listed(differing, own, identity)
            message = f"The checkpoint in '{self.folder}' belongs to a training with another {what}."
            raise UserError("bad_input", message, "Use the same capture and options, or start again without --resume.")

    def _remove_others(self) -> None:
        kept = {path.name for step in self._ours for path in (self._card_path(step), self._tensors_path(step))}
        for pattern in ("step_*.json", "step_*.safetensors", ".step_*.part"):
            for path in sorted(self.folder.glob(pattern)):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _card_path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}.json"

    def _tensors_path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}.safetensors"


def _listed(keys: list[str], own: dict[str, Any], other: dict[str, Any]) -> str:
    """What differs, one level down where there is one: "plan (steps 40, was 30)"."""
    parts = []
    for key in keys:
        mine, theirs = own.get(key), other.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            names = [name for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name)]
            inner = "; ".join(f"{name} {mine.get(name)}, was {theirs.get(name)}" for name in names)
            parts.append(f"{key} ({inner})")
        else:
            parts.append(key)
    return " and ".join(parts)
