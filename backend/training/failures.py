"""Failures of a training that the user can mend, each in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from backend.training.plan import TrainingPlan
from shared_protocol.errors import UserError

_AMOUNT = re.compile(r"(?:allocate|of size) ([\d.]+) ?(bytes|[KMGT]iB)?", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


@contextmanager
def out_of_memory_explained(plan: TrainingPlan) -> Iterator[None]:
    """Turns every way memory can run out into a UserError that says what lowers the need."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(error, plan) from error
    except RuntimeError as error:
        # torch's CPU allocator has no exception class of its own.
        if "DefaultCPUAllocator" not in str(error) and "CUDA out of memory" not in str(error):
            raise
        raise _out_of_memory(error, plan) from error


def _out_of_memory(error: BaseException, plan: TrainingPlan) -> UserError:
    wanted = _wanted_bytes(str(error))
    device = "GPU" if plan.device == "cuda" else "main"
    message = f"The {device} memory is full."
    if wanted is not None:
        message = f"The {device} memory is full: {wanted / 2**20:,.0f} MiB more were needed."
    if plan.device == "cuda":
        message += f" {_free_gpu_bytes() / 2**20:,.0f} MiB are free."
    hint = f"Lower --max-splats (now {plan.max_splats}) or --resolution (now up to {plan.max_pixels} pixels a photo)."
    return UserError("out_of_memory", message, hint)


def _wanted_bytes(text: str) -> float | None:
    found = _AMOUNT.search(text)
    return float(found[1]) * _UNITS[(found[2] or "bytes").lower()] if found else None


def _free_gpu_bytes() -> int:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 0


def diverged(step: int, what: str, kept: str) -> UserError:
    """what: "the loss" or "the splats"; kept: where the last good state is, or ""."""
    message = f"The training broke down at step {step}: {what} became NaN or infinite."
    hint = f"Lower the learning rates or use another seed.{f' The last good state is in {kept}.' if kept else ''}"
    return UserError("diverged", message, hint)
