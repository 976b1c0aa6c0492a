"""How a selection came about, step by step, so that it can be made again in other splats."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from shared_protocol.selecting import Mode, Selector


class SelectStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step from the selection before it; "carried" = what is selected after the edit before."""

    mode: Mode | Literal["carried"]
    by: Selector | None = None  # None only where it was carried


CARRIED = (SelectStep(mode="carried"),)


def encode_steps(steps: tuple[SelectStep, ...]) -> bytes:
    """As JSON."""
    return msgspec.json.encode(steps, enc_hook=plain_array)


def decode_steps(content: bytes) -> tuple[SelectStep, ...]:
    """Raises msgspec.ValidationError for what is none."""
    return msgspec.json.decode(content, type=tuple[SelectStep, ...], dec_hook=array_of_plain)


def plain_array(value: Any) -> Any:
    """Arrays in JSON: their type, and nested lists. Raises NotImplementedError for anything else."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "values": value.tolist()}
    raise NotImplementedError(f"{type(value).__name__} has no place in JSON")


def array_of_plain(kind: type, value: Any) -> Any:
    """The other half of `plain_array`. Raises ValueError for what is no array."""
    if not isinstance(value, dict) or value.get("dtype") not in ("float32", "float64", "int32", "bool"):
        raise ValueError("an array needs a dtype and values")
    return np.array(value.get("values"), value["dtype"])
