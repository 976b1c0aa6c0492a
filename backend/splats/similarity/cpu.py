"""L1 + SSIM and its gradient in one go on the CPU (a conv2d SSIM makes a training step seven times slower).

Pictures are handled as rows of 3 W interleaved numbers with a border of zeros, so that both passes of the separable
window are the same loop: eleven loads at a fixed stride, one store.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.similarity.window import C1, C2, HALF, WINDOW

F = np.float32
CHANNELS = 3
MARGIN = HALF * CHANNELS  # zeros on either side of a row
W0, W1, W2, W3, W4, W5 = (F(w) for w in WINDOW[: HALF + 1])


@device_function
def _weighted_sum(source, at, step, count, target, to):  # type: ignore[no-untyped-def]
    """target[to + i] = sum over taps j of window[j] * source[at + i + j * step], for i in 0..count-1."""
    s1, s2, s3, s4, s5 = step, np.uintp(2) * step, np.uintp(3) * step, np.uintp(4) * step, np.uintp(5) * step
    s6, s7, s8, s9, s10 = s5 + s1, s5 + s2, s5 + s3, s5 + s4, s5 + s5
    for i in range(count):
        k = at + i
        target[to + i] = (
            W0 * (source[k] + source[k + s10])
            + W1 * (source[k + s1] + source[k + s9])
            + W2 * (source[k + s2] + source[k + s8])
            + W3 * (source[k + s3] + source[k + s7])
            + W4 * (source[k + s4] + source[k + s6])
            + W5 * source[k + s5]
        )


@parallel_kernel
def _fill_products(x, y, height, length, planes):  # type: ignore[no-untyped-def]
    """Writes x, y, xx, yy, xy into flat planes [5 * (height + 10) * stride], zeros around."""
    stride = length + 2 * MARGIN
    plane = (height + 2 * HALF) * stride
    for padded_row in prange(height + 2 * HALF):
        row, at = padded_row - HALF, padded_row * stride
        for p in range(5):
            for i in range(stride):
                planes[np.uintp(p * plane + at + i)] = F(0)
        if row < 0 or row >= height:
            continue
        start = at + MARGIN
        for i in range(length):
            planes[np.uintp(start + i)] = x[row * length + i]
        for i in range(length):
            planes[np.uintp(plane + start + i)] = y[row * length + i]
        for i in range(length):
            planes[np.uintp(2 * plane + start + i)] = x[row * length + i] * x[row * length + i]
        for i in range(length):
            planes[np.uintp(3 * plane + start + i)] = y[row * length + i] * y[row * length + i]
        for i in range(length):
            planes[np.uintp(4 * plane + start + i)] = x[row * length + i] * y[row * length + i]


@parallel_kernel
def _similarity_and_partials(planes, height, length, partials, row_sums):  # type: ignore[no-untyped-def]
    """Sums SSIM and |x - y| a row; writes d SSIM / d (mean x, mean xx, mean xy) into padded planes [3 * ...]."""
    stride = length + 2 * MARGIN
    plane = (height + 2 * HALF) * stride
    for padded_row in prange(height + 2 * HALF):
        row, at = padded_row - HALF, padded_row * stride
        for p in range(3):
            for i in range(stride):
                partials[np.uintp(p * plane + at + i)] = F(0)
        if row < 0 or row >= height:
            continue
        vertical, m = np.empty(stride, np.float32), np.empty(5 * length, np.float32)
        for p in range(5):
            first = np.uintp(p * plane + row * stride)
            _weighted_sum(planes, first, np.uintp(stride), np.uintp(stride), vertical, np.uintp(0))
            _weighted_sum(vertical, np.uintp(0), np.uintp(CHANNELS), np.uintp(length), m, np.uintp(p * length))
        similarity_sum, difference_sum = 0.0, 0.0
        for i in range(length):
            mx, my, xx, yy, xy = m[i], m[length + i], m[2 * length + i], m[3 * length + i], m[4 * length + i]
            a1, a2 = F(2) * mx * my + F(C1), F(2) * (xy - mx * my) + F(C2)
            b1, b2 = mx * mx + my * my + F(C1), (xx - mx * mx) + (yy - my * my) + F(C2)
            inverse = F(1) / (b1 * b2)
            similarity = a1 * a2 * inverse
            to = np.uintp(at + MARGIN + i)
            by_mean = F(2) * my * (a2 - a1) * inverse - F(2) * mx * similarity * (b2 - b1) * inverse
            partials[to] = by_mean
            partials[np.uintp(plane) + to] = -similarity * b1 * inverse
            partials[np.uintp(2 * plane) + to] = F(2) * a1 * inverse
            similarity_sum += similarity
            difference_sum += abs(planes[to] - planes[np.uintp(plane) + to])
        row_sums[row, 0], row_sums[row, 1] = similarity_sum, difference_sum


@parallel_kernel
def _gradient(x, y, partials, height, length, l1_scale, ssim_scale, gradient):  # type: ignore[no-untyped-def]
    """gradient = l1_scale * sign(x - y) - ssim_scale * d (sum of SSIM) / dx, flat [height * length]."""
    stride = length + 2 * MARGIN
    plane = (height + 2 * HALF) * stride
    for row in prange(height):
        vertical, m = np.empty(stride, np.float32), np.empty(3 * length, np.float32)
        for p in range(3):
            first = np.uintp(p * plane + row * stride)
            _weighted_sum(partials, first, np.uintp(stride), np.uintp(stride), vertical, np.uintp(0))
            _weighted_sum(vertical, np.uintp(0), np.uintp(CHANNELS), np.uintp(length), m, np.uintp(p * length))
        for i in range(length):
            a, b = x[row * length + i], y[row * length + i]
            sign = F(1) if a > b else (F(-1) if a < b else F(0))
            by_similarity = m[i] + F(2) * a * m[length + i] + b * m[2 * length + i]
            gradient[row * length + i] = l1_scale * sign - ssim_scale * by_similarity


class _L1SSIM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, ssim_weight: float) -> Tensor:  # type: ignore[override]
        height, width, _ = image.shape
        length = width * CHANNELS
        x, y = (t.detach().to(torch.float32).contiguous().numpy().reshape(-1) for t in (image, target))
        plane = (height + 2 * HALF) * (length + 2 * MARGIN)
        planes, partials = np.empty(5 * plane, np.float32), np.empty(3 * plane, np.float32)
        row_sums = np.empty((height, 2))
        _fill_products(x, y, height, length, planes)
        _similarity_and_partials(planes, height, length, partials, row_sums)
        similarity, difference = row_sums.sum(0) / x.size
        if ctx.needs_input_grad[0]:
            gradient = np.empty(x.size, np.float32)
            l1_scale, ssim_scale = F((1 - ssim_weight) / x.size), F(ssim_weight / x.size)
            _gradient(x, y, partials, height, length, l1_scale, ssim_scale, gradient)
            ctx.gradient = torch.from_numpy(gradient.reshape(image.shape))
        return torch.tensor((1 - ssim_weight) * difference + ssim_weight * (1 - similarity), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return ctx.gradient * grad, None, None


def l1_ssim(image: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """See `backend.splats.similarity.l1_ssim_loss`."""
    if image.dim() != 3 or image.shape[2] != CHANNELS or image.shape != target.shape:
        raise ValueError(f"pictures must both be [H, W, 3], got {tuple(image.shape)} and {tuple(target.shape)}")
    return _L1SSIM.apply(image, target, ssim_weight)
