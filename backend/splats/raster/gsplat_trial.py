"""Draws one small scene with gsplat on the GPU and with our kernels on the CPU, and compares pictures and gradients.

Run as `python -m backend.splats.raster.gsplat_trial [LIBRARY.so]`: prints the differences as JSON, or why it failed.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.splats.raster import rasterization
from backend.splats.raster.gsplat_build import use_library

# gsplat is compiled with fast mathematics, and a splat may fall to the other side of the 1/255 threshold in a pixel.
WORST_PICTURE = 1e-3  # mean absolute difference of a colour channel
WORST_GRADIENT = 2e-2  # norm of the difference over norm of the truth

WIDTH, HEIGHT = 75, 53  # no multiples of the tile size

Draw = Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]


def scene(splats: int = 300) -> dict[str, Tensor]:
    """Splats of all sizes before one camera, as the arguments of `rasterization`, on the CPU."""
    random = torch.Generator().manual_seed(7)
    means = torch.randn(splats, 3, generator=random) + torch.tensor([0.0, 0.0, 5.0])
    return {
        "means": means,
        "quats": torch.randn(splats, 4, generator=random),
        "scales": torch.exp(torch.randn(splats, 3, generator=random) * 0.5 - 2.0),
        "opacities": torch.rand(splats, generator=random) * 0.9 + 0.05,
        "colors": torch.randn(splats, 9, 3, generator=random) * 0.3,
    }


def draw(rasterize: Draw, device: str) -> dict[str, Tensor]:
    """The picture, the transparency, and the gradient of a plain loss to every argument; all on the CPU."""
    arguments = {name: value.to(device).requires_grad_() for name, value in scene().items()}
    intrinsics = torch.tensor([[70.0, 0.0, WIDTH / 2], [0.0, 70.0, HEIGHT / 2], [0.0, 0.0, 1.0]], device=device)
    camera_from_world = torch.eye(4, device=device)
    picture, alpha, _info = rasterize(
        **arguments,
        viewmats=camera_from_world[None],
        Ks=intrinsics[None],
        width=WIDTH,
        height=HEIGHT,
        sh_degree=2,
    )
    weights = torch.linspace(0.5, 1.5, picture.numel(), device=device).reshape(picture.shape)
    ((picture * weights).sum() + alpha.sum()).backward()
    drawn = {"picture": picture, "alpha": alpha}
    gradients = {f"gradient of {name}": value.grad for name, value in arguments.items() if value.grad is not None}
    return {name: value.detach().cpu() for name, value in (drawn | gradients).items()}


def differences(truth: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, float]:
    """Mean absolute difference of what is drawn, relative difference of gradients."""
    figures = {}
    for name, value in truth.items():
        apart = other[name] - value
        relative = name.startswith("gradient")
        figures[name] = float(apart.norm() / value.norm()) if relative else float(apart.abs().mean())
    return figures


def complaint(figures: dict[str, float]) -> str | None:
    """What is wrong with these differences, or None."""
    for name, figure in figures.items():
        limit = WORST_GRADIENT if name.startswith("gradient") else WORST_PICTURE
        if not figure <= limit:  # also catches NaN
            return f"the {name} differs from the CPU's by {figure:.2g}, more than {limit:.2g}"
    return None


def main(arguments: list[str]) -> int:
    if arguments:
        use_library(Path(arguments[0]))
    import gsplat

    on_gpu = functools.partial(gsplat.rasterization, packed=False)
    figures = differences(draw(rasterization, "cpu"), draw(on_gpu, "cuda"))
    trouble = complaint(figures)
    print(trouble or json.dumps(figures))
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
