"""Draws splats with whichever implementation fits the device of the tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from backend.splats.raster import brute_force


def rasterization(means: Tensor, *arguments: Any, absgrad: bool = False, **options: Any) -> tuple[Tensor, Tensor, dict]:
    picture, alpha, info = brute_force.rasterization(means, *arguments, **options)
    return picture.float(), alpha.float(), info
