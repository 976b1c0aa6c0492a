"""Arrays on the disk: one safetensors file a version, whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from backend.splats.cloud import SplatCloud
from backend.splats.io.atomic import write_bytes
from shared_protocol.errors import UserError

Arrays = dict[str, np.ndarray]
_BINDING = "binding."  # begins the names of what a version holds beside its splats: what they are bound to
CLOUD_FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def write_arrays(path: Path, arrays: Arrays) -> tuple[int, str]:
    """Writes the file and returns its size and SHA-256. Raises UserError when the disk is full."""
    content = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    write_bytes(path, content)
    return len(content), hashlib.sha256(content).hexdigest()


def read_arrays(path: Path) -> Arrays:
    """Raises UserError when the file is missing or damaged."""
    try:
        return safetensors.numpy.load_file(path)
    except FileNotFoundError as error:
        raise UserError("not_found", f"The splats in '{path}' are gone.", "Restore the file from a backup.") from error
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        raise _damaged(path) from error


def flaw_of(path: Path, size: int, sha256: str) -> UserError | None:
    """What is wrong with a payload, or None. Reads all of it."""
    if not path.is_file():
        return UserError("not_found", f"The splats in '{path}' are gone.", "Restore the file from a backup.")
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return None if path.stat().st_size == size and digest.hexdigest() == sha256 else _damaged(path)


def cloud_to_arrays(cloud: SplatCloud) -> Arrays:
    return {name: getattr(cloud, name) for name in CLOUD_FIELDS}


def arrays_to_cloud(arrays: Arrays, path: Path) -> SplatCloud:
    """path: for the error, should the arrays be none of a cloud."""
    try:
        return SplatCloud(**{name: arrays[name] for name in CLOUD_FIELDS})
    except (KeyError, ValueError) as error:
        raise _damaged(path) from error


def with_binding(arrays: Arrays, binding: Arrays) -> Arrays:
    """Both in one file, which whoever only wants the splats reads as before."""
    return arrays | {_BINDING + name: array for name, array in binding.items()}


def binding_of(arrays: Arrays) -> Arrays:
    """The other half of `with_binding`; empty where there is none."""
    return {name.removeprefix(_BINDING): array for name, array in arrays.items() if name.startswith(_BINDING)}


def _damaged(path: Path) -> UserError:
    return UserError("bad_input", f"'{path}' is damaged.", "Restore the file from a backup, or delete the asset.")
