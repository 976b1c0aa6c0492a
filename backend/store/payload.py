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
# These begin the names of what a version holds beside its splats: what they are bound to, and further numbers of each.
_BINDING, _EXTRA = "binding.", "extra."
CLOUD_FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def write_arrays(path: Path, arrays: Arrays, facts: dict[str, str] | None = None) -> tuple[int, str]:
    """Writes the file and returns its size and SHA-256. Raises UserError when the disk is full.

    facts: what is said in the file's header beside the arrays.
    """
    content = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts)
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


def read_facts(path: Path) -> dict[str, str]:
    """What was said beside the arrays. Raises UserError when the file is damaged."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
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
    return arrays | _named(_BINDING, binding)


def binding_of(arrays: Arrays) -> Arrays:
    """The other half of `with_binding`; empty where there is none."""
    return _found(_BINDING, arrays)


def with_extra(arrays: Arrays, extra: Arrays) -> Arrays:
    """The same for further numbers of each splat, [N] each."""
    return arrays | _named(_EXTRA, extra)


def extra_of(arrays: Arrays) -> Arrays:
    """The other half of `with_extra`; empty where there are none."""
    return _found(_EXTRA, arrays)


def _named(start: str, arrays: Arrays) -> Arrays:
    return {start + name: array for name, array in arrays.items()}


def _found(start: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _damaged(path: Path) -> UserError:
    return UserError("bad_input", f"'{path}' is damaged.", "Restore the file from a backup, or delete the asset.")
