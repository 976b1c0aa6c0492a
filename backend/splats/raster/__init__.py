"""Splats to pixels: one interface, gsplat on CUDA, our own tile kernels on CPU."""

from backend.splats.raster.rasterization import rasterization

__all__ = ["rasterization"]
