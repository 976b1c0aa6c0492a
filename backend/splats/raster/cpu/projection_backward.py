"""Gradients of the projection and of the colours, one pass a splat, summed over cameras without atomics."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.raster.cpu.projection import (
    BLOCK,
    covariance_2d,
    jacobian_rows,
    to_camera,
    unit_axes,
)
from backend.splats.raster.cpu.spherical_harmonics import BASIS_SIZE, fill_basis, fill_basis_gradient

F = np.float32


@device_function
def _covariance_2d_gradient(grad_conic, a, b, c, eps2d, opacity, grad_opacity, antialiased):  # type: ignore[no-untyped-def]
    """(d/da, d/db, d/dc, d/d opacity) of the loss, from its gradients by conic and by effective opacity."""
    blurred_a, blurred_c = a + eps2d, c + eps2d
    determinant = blurred_a * blurred_c - b * b
    x, y, z = blurred_c / determinant, -b / determinant, blurred_a / determinant
    gx, gy, gz = np.float64(grad_conic[0]), 0.5 * np.float64(grad_conic[1]), np.float64(grad_conic[2])
    # d(M^-1) = -M^-1 dM M^-1
    p, q, r, s = gx * x + gy * y, gx * y + gy * z, gy * x + gz * y, gy * y + gz * z
    grad_a, grad_b, grad_c = -(x * p + y * r), -2.0 * (x * q + y * s), -(y * q + z * s)
    grad_raw_opacity = np.float64(grad_opacity)
    if antialiased:
        unblurred = a * c - b * b
        ratio = unblurred / determinant
        if ratio > 0.0:
            compensation = math.sqrt(ratio)
            grad_raw_opacity = grad_opacity * compensation
            # of sqrt(unblurred / determinant); the same b stands in both determinants
            g = grad_opacity * opacity * 0.5 / (compensation * determinant)
            grad_a += g * (c - ratio * blurred_c)
            grad_c += g * (a - ratio * blurred_a)
            grad_b += g * 2.0 * b * (ratio - 1.0)
        else:
            grad_raw_opacity = 0.0
    return grad_a, grad_b, grad_c, grad_raw_opacity


@device_function
def _shape_gradient(grad_a, grad_b, grad_c, w0, w1, axes, scale, grad_axes, grad_scale, grad_w0, grad_w1):  # type: ignore[no-untyped-def]
    """Adds the gradients by axes [3, 3] and scale [3]; writes those by the Jacobian rows w0, w1."""
    for i in range(3):
        grad_w0[i] = 0.0
        grad_w1[i] = 0.0
    for j in range(3):
        s = np.float64(scale[j])
        along0 = w0[0] * axes[0, j] + w0[1] * axes[1, j] + w0[2] * axes[2, j]
        along1 = w1[0] * axes[0, j] + w1[1] * axes[1, j] + w1[2] * axes[2, j]
        grad_r0 = s * (2.0 * grad_a * along0 + grad_b * along1)
        grad_r1 = s * (2.0 * grad_c * along1 + grad_b * along0)
        grad_scale[j] += grad_r0 * along0 + grad_r1 * along1
        for i in range(3):
            grad_axes[i, j] += s * (grad_r0 * w0[i] + grad_r1 * w1[i])
            grad_w0[i] += s * grad_r0 * axes[i, j]
            grad_w1[i] += s * grad_r1 * axes[i, j]


@device_function
def _covar_gradient(grad_a, grad_b, grad_c, w0, w1, s, grad_covar, grad_w0, grad_w1):  # type: ignore[no-untyped-def]
    """The same for a covariance given directly: adds to grad_covar [6], writes grad_w0, grad_w1."""
    entry = 0
    for i in range(3):
        for j in range(i, 3):
            value = grad_a * w0[i] * w0[j] + grad_c * w1[i] * w1[j]
            cross = grad_b * 0.5 * (w0[i] * w1[j] + w0[j] * w1[i])
            grad_covar[entry] += (value + cross) * (1.0 if i == j else 2.0)
            entry += 1
    for w, other, g_own, target in ((w0, w1, grad_a, grad_w0), (w1, w0, grad_c, grad_w1)):
        v0, v1, v2 = (
            2 * g_own * w[0] + grad_b * other[0],
            2 * g_own * w[1] + grad_b * other[1],
            2 * g_own * w[2] + grad_b * other[2],
        )
        target[0] = s[0] * v0 + s[1] * v1 + s[2] * v2
        target[1] = s[1] * v0 + s[3] * v1 + s[4] * v2
        target[2] = s[2] * v0 + s[4] * v1 + s[5] * v2


@device_function
def _point_gradient(camera, x, y, z, perspective, grad_u, grad_v, grad_depth, grad_w0, grad_w1, grad_mean):  # type: ignore[no-untyped-def]
    """Adds to grad_mean [3] what comes through the picture position, the depth and the projection's Jacobian."""
    fx, fy = camera[15], camera[16]
    if perspective:
        rz = 1.0 / z
        tx, ty = min(max(x * rz, camera[19]), camera[20]), min(max(y * rz, camera[21]), camera[22])
        j0x = camera[0] * grad_w0[0] + camera[1] * grad_w0[1] + camera[2] * grad_w0[2]
        j0z = camera[6] * grad_w0[0] + camera[7] * grad_w0[1] + camera[8] * grad_w0[2]
        j1y = camera[3] * grad_w1[0] + camera[4] * grad_w1[1] + camera[5] * grad_w1[2]
        j1z = camera[6] * grad_w1[0] + camera[7] * grad_w1[1] + camera[8] * grad_w1[2]
        grad_rz = fx * (j0x - tx * j0z) + fy * (j1y - ty * j1z) + fx * x * grad_u + fy * y * grad_v
        grad_x, grad_y = fx * rz * grad_u, fy * rz * grad_v
        if tx == x * rz:  # not held at the margin
            grad_x -= fx * rz * rz * j0z
            grad_rz -= fx * rz * x * j0z
        if ty == y * rz:
            grad_y -= fy * rz * rz * j1z
            grad_rz -= fy * rz * y * j1z
        grad_z = grad_depth - rz * rz * grad_rz
    else:
        grad_x, grad_y, grad_z = fx * grad_u, fy * grad_v, np.float64(grad_depth)
    for i in range(3):
        grad_mean[i] += camera[i] * grad_x + camera[3 + i] * grad_y + camera[6 + i] * grad_z


@device_function
def _color_gradient(degree, camera, mean, sh_rest, color, grad_color, scratch, grad_sh0, grad_sh_rest, grad_mean):  # type: ignore[no-untyped-def]
    """Adds to the gradients of the coefficients and of the mean (through the viewing direction)."""
    basis, by_x, by_y, by_z = scratch[0], scratch[1], scratch[2], scratch[3]
    dx, dy, dz = mean[0] - camera[12], mean[1] - camera[13], mean[2] - camera[14]
    inverse = 1.0 / max(math.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
    x, y, z = F(dx * inverse), F(dy * inverse), F(dz * inverse)
    fill_basis(degree, x, y, z, basis)
    # a channel held at 0 passes nothing on
    red = grad_color[0] if color[0] > F(0) else F(0)
    green = grad_color[1] if color[1] > F(0) else F(0)
    blue = grad_color[2] if color[2] > F(0) else F(0)
    grad_sh0[0] += basis[0] * red
    grad_sh0[1] += basis[0] * green
    grad_sh0[2] += basis[0] * blue
    if degree == 0:
        return
    fill_basis_gradient(degree, x, y, z, by_x, by_y, by_z)
    gx, gy, gz = F(0), F(0), F(0)
    for k in range(1, (degree + 1) * (degree + 1)):
        grad_sh_rest[k - 1, 0] += basis[k] * red
        grad_sh_rest[k - 1, 1] += basis[k] * green
        grad_sh_rest[k - 1, 2] += basis[k] * blue
        weight = sh_rest[k - 1, 0] * red + sh_rest[k - 1, 1] * green + sh_rest[k - 1, 2] * blue
        gx += by_x[k] * weight
        gy += by_y[k] * weight
        gz += by_z[k] * weight
    along = gx * x + gy * y + gz * z  # the direction's length does not matter
    grad_mean[0] += inverse * (gx - along * x)
    grad_mean[1] += inverse * (gy - along * y)
    grad_mean[2] += inverse * (gz - along * z)


@device_function
def _quaternion_gradient(quat, inverse_norm, m, grad_quat):  # type: ignore[no-untyped-def]
    """Writes the gradient by the unnormalised quaternion, from that by the rotation's entries m [3, 3]."""
    w, x, y, z = quat[0] * inverse_norm, quat[1] * inverse_norm, quat[2] * inverse_norm, quat[3] * inverse_norm
    gw = 2 * (x * (m[2, 1] - m[1, 2]) + y * (m[0, 2] - m[2, 0]) + z * (m[1, 0] - m[0, 1]))
    gx = 2 * (w * (m[2, 1] - m[1, 2]) + y * (m[0, 1] + m[1, 0]) + z * (m[0, 2] + m[2, 0]) - 2 * x * (m[1, 1] + m[2, 2]))
    gy = 2 * (w * (m[0, 2] - m[2, 0]) + x * (m[0, 1] + m[1, 0]) + z * (m[1, 2] + m[2, 1]) - 2 * y * (m[0, 0] + m[2, 2]))
    gz = 2 * (w * (m[1, 0] - m[0, 1]) + x * (m[0, 2] + m[2, 0]) + y * (m[1, 2] + m[2, 1]) - 2 * z * (m[0, 0] + m[1, 1]))
    along = gw * w + gx * x + gy * y + gz * z
    grad_quat[0] = inverse_norm * (gw - along * w)
    grad_quat[1] = inverse_norm * (gx - along * x)
    grad_quat[2] = inverse_norm * (gy - along * y)
    grad_quat[3] = inverse_norm * (gz - along * z)


@parallel_kernel
def project_backward(  # type: ignore[no-untyped-def]
    means, quats, scales, covars, opacities, sh_rest, cameras,
    eps2d, degree, perspective, use_covars, antialiased,
    radii, colors,
    grad_means2d, grad_depths, grad_conics, grad_opacities, grad_colors,
    out_means, out_quats, out_scales, out_covars, out_opacities, out_sh0, out_sh_rest,
):  # fmt: skip
    """Overwrites every entry of the out arrays. Arrays that are not in use have one row."""
    n = means.shape[0]
    for block in prange((n + BLOCK - 1) // BLOCK):
        axes, grad_axes = np.empty((3, 3), np.float64), np.empty((3, 3), np.float64)
        w0, w1, grad_w0, grad_w1 = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
        grad_mean, grad_scale, grad_covar = np.empty(3), np.empty(3), np.empty(6)
        scratch = np.empty((4, BASIS_SIZE), np.float32)
        for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            shape, colored = (0 if use_covars else i), (i if degree >= 0 else 0)
            covar = covars[i if use_covars else 0]
            grad_mean[:] = 0.0
            grad_scale[:] = 0.0
            grad_covar[:] = 0.0
            grad_axes[:] = 0.0
            grad_opacity = 0.0
            inverse_norm = 0.0
            if degree >= 0:
                out_sh0[i, 0], out_sh0[i, 1], out_sh0[i, 2] = F(0), F(0), F(0)
                for k in range(out_sh_rest.shape[1]):
                    out_sh_rest[i, k, 0], out_sh_rest[i, k, 1], out_sh_rest[i, k, 2] = F(0), F(0), F(0)
            for camera in range(cameras.shape[0]):
                if radii[camera, i, 0] == 0 and radii[camera, i, 1] == 0:
                    continue
                view = cameras[camera]
                if not use_covars and inverse_norm == 0.0:
                    inverse_norm = unit_axes(quats[i], axes)
                x, y, z = to_camera(view, means[i])
                jacobian_rows(view, x, y, z, perspective, w0, w1)
                a, b, c = covariance_2d(w0, w1, axes, scales[shape], covar, use_covars)
                ga, gb, gc, go = _covariance_2d_gradient(
                    grad_conics[camera, i], a, b, c, eps2d, opacities[i], grad_opacities[camera, i], antialiased,
                )  # fmt: skip
                grad_opacity += go
                if use_covars:
                    _covar_gradient(ga, gb, gc, w0, w1, covar, grad_covar, grad_w0, grad_w1)
                else:
                    _shape_gradient(ga, gb, gc, w0, w1, axes, scales[i], grad_axes, grad_scale, grad_w0, grad_w1)
                gu, gv, gd = grad_means2d[camera, i, 0], grad_means2d[camera, i, 1], grad_depths[camera, i]
                _point_gradient(view, x, y, z, perspective, gu, gv, gd, grad_w0, grad_w1, grad_mean)
                if degree >= 0:
                    _color_gradient(
                        degree, view, means[i], sh_rest[colored], colors[camera, i], grad_colors[camera, i],
                        scratch, out_sh0[i], out_sh_rest[i], grad_mean,
                    )  # fmt: skip
            out_means[i, 0], out_means[i, 1], out_means[i, 2] = grad_mean[0], grad_mean[1], grad_mean[2]
            out_opacities[i] = grad_opacity
            if use_covars:
                for k in range(6):
                    out_covars[i, k] = grad_covar[k]
            else:
                out_scales[i, 0], out_scales[i, 1], out_scales[i, 2] = grad_scale[0], grad_scale[1], grad_scale[2]
                if inverse_norm > 0.0:
                    _quaternion_gradient(quats[i], inverse_norm, grad_axes, out_quats[i])
                else:
                    out_quats[i, 0], out_quats[i, 1], out_quats[i, 2], out_quats[i, 3] = F(0), F(0), F(0), F(0)
