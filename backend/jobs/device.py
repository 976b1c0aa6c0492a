"""Decides which device a job runs on."""

from __future__ import annotations

from typing import Literal

from backend.splats.raster import gsplat_build
from shared_protocol.errors import UserError

DeviceChoice = Literal["auto", "cpu", "cuda"]
DeviceKind = Literal["cpu", "cuda"]


def choose_device(wanted: DeviceChoice) -> DeviceKind:
    """ "auto" takes CUDA where it can be used. Raises UserError when CUDA is asked for and cannot be used."""
    if wanted == "cpu":
        return "cpu"
    state = gsplat_build.state()
    if state.usable:
        return "cuda"
    if wanted == "cuda":
        raise UserError("missing_dependency", f"CUDA cannot be used: {state.reason}", state.fix or "Use --device cpu.")
    return "cpu"
