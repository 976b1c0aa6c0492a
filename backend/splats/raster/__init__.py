"""Splats to pixels: one interface, gsplat on CUDA, our own tile kernels on CPU."""

from backend.splats.raster.rasterization import blending_weights, rasterization

__all__ = ["blending_weights", "rasterization"]
