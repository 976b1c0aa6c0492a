"""Splats to ellipses in the picture, with colour by spherical harmonics: forward and backward in one pass a splat.

Follows gsplat's EWA projection (Zwicker et al. 2002, as used by Kerbl et al. 2023). Covariances are handled in float64:
a needle of 1000 x 0.5 pixels loses all its width to cancellation in float32, and arithmetic is a small part of a step.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.raster.constants import ALPHA_MIN, FIELD_OF_VIEW_MARGIN, RADIUS_SIGMAS
from backend.splats.raster.cpu.spherical_harmonics import BASIS_SIZE, fill_basis

F = np.float32
BLOCK = 256  # splats a core takes at a time; scratch arrays are made once a block

# Columns of a camera row: rotation (9), translation (3), centre (3), fx, fy, cx, cy, limits of x/z and y/z (4)
CAMERA_COLUMNS = 23
# Columns of an ellipse row: what the blend needs and float32 conics cannot give without cancellation.
# The exponent is u^2 + v^2 with u = P dx + Q dy, v = R dy. The visible ellipse is where it stays below LOG_LIMIT: it
# reaches EXTENT_X to the right at the height TILT_Y above its centre, and EXTENT_Y up at TILT_X to the right.
P, Q, R, LOG_LIMIT, EXTENT_X, EXTENT_Y, TILT_X, TILT_Y = range(8)
ELLIPSE_COLUMNS = 8


def camera_rows(viewmats: np.ndarray, intrinsics: np.ndarray, width: int, height: int) -> np.ndarray:
    """Cameras as the kernels want them. [C, 4, 4], [C, 3, 3] -> [C, CAMERA_COLUMNS] float64"""
    rows = np.zeros((len(viewmats), CAMERA_COLUMNS))
    for row, view, k in zip(rows, viewmats.astype(np.float64), intrinsics.astype(np.float64), strict=True):
        fx, fy, cx, cy = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
        margin_x, margin_y = FIELD_OF_VIEW_MARGIN * 0.5 * width / fx, FIELD_OF_VIEW_MARGIN * 0.5 * height / fy
        row[0:9] = view[:3, :3].ravel()
        row[9:12] = view[:3, 3]
        row[12:15] = np.linalg.inv(view)[:3, 3]
        row[15:19] = fx, fy, cx, cy
        row[19:21] = -(cx / fx + margin_x), (width - cx) / fx + margin_x
        row[21:23] = -(cy / fy + margin_y), (height - cy) / fy + margin_y
    return rows


@device_function
def unit_axes(quat, axes):  # type: ignore[no-untyped-def]
    """Writes the splat's three unit axes (columns of its rotation) into axes [3, 3] float64; returns 1/|quat|, or 0."""
    w, x, y, z = np.float64(quat[0]), np.float64(quat[1]), np.float64(quat[2]), np.float64(quat[3])
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    if not (norm > 0.0 and norm < 1e30):
        return 0.0
    inverse = 1.0 / norm
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    axes[0, 0], axes[0, 1], axes[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    axes[1, 0], axes[1, 1], axes[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    axes[2, 0], axes[2, 1], axes[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return inverse


@device_function
def to_camera(camera, mean):  # type: ignore[no-untyped-def]
    x, y, z = np.float64(mean[0]), np.float64(mean[1]), np.float64(mean[2])
    return (
        camera[0] * x + camera[1] * y + camera[2] * z + camera[9],
        camera[3] * x + camera[4] * y + camera[5] * z + camera[10],
        camera[6] * x + camera[7] * y + camera[8] * z + camera[11],
    )


@device_function
def jacobian_rows(camera, x, y, z, perspective, w0, w1):  # type: ignore[no-untyped-def]
    """Writes the world directions that move a point by one pixel in x and y into w0, w1 [3]."""
    if perspective:
        rz = 1.0 / z
        tx = min(max(x * rz, camera[19]), camera[20])
        ty = min(max(y * rz, camera[21]), camera[22])
        for i in range(3):
            w0[i] = camera[15] * rz * (camera[i] - tx * camera[6 + i])
            w1[i] = camera[16] * rz * (camera[3 + i] - ty * camera[6 + i])
    else:
        for i in range(3):
            w0[i] = camera[15] * camera[i]
            w1[i] = camera[16] * camera[3 + i]


@device_function
def covariance_2d(w0, w1, axes, scale, covar, use_covars):  # type: ignore[no-untyped-def]
    """The entries xx, xy, yy of the covariance in the picture, before blur."""
    a, b, c = 0.0, 0.0, 0.0
    if use_covars:
        s = covar
        p0 = s[0] * w0[0] + s[1] * w0[1] + s[2] * w0[2]
        p1 = s[1] * w0[0] + s[3] * w0[1] + s[4] * w0[2]
        p2 = s[2] * w0[0] + s[4] * w0[1] + s[5] * w0[2]
        a = w0[0] * p0 + w0[1] * p1 + w0[2] * p2
        b = w1[0] * p0 + w1[1] * p1 + w1[2] * p2
        p0 = s[0] * w1[0] + s[1] * w1[1] + s[2] * w1[2]
        p1 = s[1] * w1[0] + s[3] * w1[1] + s[4] * w1[2]
        p2 = s[2] * w1[0] + s[4] * w1[1] + s[5] * w1[2]
        c = w1[0] * p0 + w1[1] * p1 + w1[2] * p2
    else:
        for j in range(3):
            r0 = scale[j] * (w0[0] * axes[0, j] + w0[1] * axes[1, j] + w0[2] * axes[2, j])
            r1 = scale[j] * (w1[0] * axes[0, j] + w1[1] * axes[1, j] + w1[2] * axes[2, j])
            a += r0 * r0
            b += r0 * r1
            c += r1 * r1
    return a, b, c


@device_function
def _finite(array, i, count):  # type: ignore[no-untyped-def]
    """True when the first `count` numbers of row i are neither NaN nor infinite."""
    total = F(0)
    for k in range(count):
        total += array[i, k] * F(0)  # 0 for a number, NaN for the rest
    return total == F(0)


@device_function
def _color(degree, camera, mean, sh0, sh_rest, basis, color):  # type: ignore[no-untyped-def]
    """Writes the colour seen from the camera, clamped below at 0, into color [3]."""
    dx, dy, dz = mean[0] - camera[12], mean[1] - camera[13], mean[2] - camera[14]
    scale = 1.0 / max(math.sqrt(dx * dx + dy * dy + dz * dz), 1e-12)
    fill_basis(degree, F(dx * scale), F(dy * scale), F(dz * scale), basis)
    red, green, blue = basis[0] * sh0[0], basis[0] * sh0[1], basis[0] * sh0[2]
    for k in range((degree + 1) * (degree + 1) - 1):
        red += basis[k + 1] * sh_rest[k, 0]
        green += basis[k + 1] * sh_rest[k, 1]
        blue += basis[k + 1] * sh_rest[k, 2]
    color[0] = max(red + F(0.5), F(0))
    color[1] = max(green + F(0.5), F(0))
    color[2] = max(blue + F(0.5), F(0))


@device_function
def _write_ellipse(a, b, c, eps2d, opacity, antialiased, ellipse, conic):  # type: ignore[no-untyped-def]
    """Writes the blurred ellipse and its conic; returns (effective opacity, radius x, radius y), 0 if unseen."""
    blurred_a, blurred_c = a + eps2d, c + eps2d
    determinant = blurred_a * blurred_c - b * b
    if not determinant > 0.0 or not determinant < 1e300:
        return F(0), 0, 0
    if antialiased:
        opacity = F(opacity * math.sqrt(max(0.0, (a * c - b * b) / determinant)))
    if opacity < F(ALPHA_MIN):
        return F(0), 0, 0
    limit = math.log(opacity / ALPHA_MIN)
    extent = math.sqrt(2.0 * limit)
    reach = min(RADIUS_SIGMAS, extent)
    radius_x, radius_y = math.ceil(reach * math.sqrt(blurred_a)), math.ceil(reach * math.sqrt(blurred_c))
    conic[0], conic[1], conic[2] = blurred_c / determinant, -b / determinant, blurred_a / determinant
    ellipse[P] = math.sqrt(0.5 * blurred_c / determinant)
    ellipse[Q] = -b * math.sqrt(0.5 / (blurred_c * determinant))
    ellipse[R] = math.sqrt(0.5 / blurred_c)
    ellipse[LOG_LIMIT] = limit
    ellipse[EXTENT_X], ellipse[EXTENT_Y] = extent * math.sqrt(blurred_a), extent * math.sqrt(blurred_c)
    ellipse[TILT_X], ellipse[TILT_Y] = extent * b / math.sqrt(blurred_c), extent * b / math.sqrt(blurred_a)
    return opacity, int(min(radius_x, 1e9)), int(min(radius_y, 1e9))


@parallel_kernel
def project(  # type: ignore[no-untyped-def]
    means, quats, scales, covars, opacities, sh0, sh_rest, cameras,
    width, height, near, far, radius_clip, eps2d, degree, perspective, use_covars, antialiased,
    radii, means2d, depths, conics, effective_opacities, colors, ellipses, broken,
):  # fmt: skip
    """Fills the per-camera arrays [C, N, ...]; a splat that is not drawn gets radii 0 and zeros everywhere.

    degree: of the spherical harmonics, -1 when colours are not computed here. broken: int64 [N_blocks], counts of
    splats with a NaN or infinity among their values.
    """
    n = means.shape[0]
    flat_rest = sh_rest.reshape(sh_rest.shape[0], -1)
    for block in prange((n + BLOCK - 1) // BLOCK):
        axes = np.empty((3, 3), np.float64)
        w0, w1 = np.empty(3, np.float64), np.empty(3, np.float64)
        basis = np.empty(BASIS_SIZE, np.float32)
        unseen = 0
        for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            shape, colored = (0 if use_covars else i), (i if degree >= 0 else 0)  # arrays not in use have one row
            covar = covars[i if use_covars else 0]
            healthy = _finite(means, i, 3) and math.isfinite(opacities[i])
            if use_covars:
                healthy = healthy and _finite(covars, i, 6)
            else:
                healthy = healthy and _finite(scales, i, 3) and unit_axes(quats[i], axes) > 0.0
            if degree >= 0:
                healthy = healthy and _finite(sh0, i, 3) and _finite(flat_rest, i, 3 * (degree + 1) * (degree + 1) - 3)
            if not healthy:
                unseen += 1
            for camera in range(cameras.shape[0]):
                view = cameras[camera]
                radii[camera, i, 0] = 0
                radii[camera, i, 1] = 0
                means2d[camera, i, 0], means2d[camera, i, 1], depths[camera, i] = F(0), F(0), F(0)
                conics[camera, i, 0], conics[camera, i, 1], conics[camera, i, 2] = F(0), F(0), F(0)
                effective_opacities[camera, i] = F(0)
                if degree >= 0:
                    colors[camera, i, 0], colors[camera, i, 1], colors[camera, i, 2] = F(0), F(0), F(0)
                if not healthy:
                    continue
                x, y, z = to_camera(view, means[i])
                if not (z >= near and z <= far) or (perspective and not z > 0.0):
                    continue
                jacobian_rows(view, x, y, z, perspective, w0, w1)
                a, b, c = covariance_2d(w0, w1, axes, scales[shape], covar, use_covars)
                opacity, radius_x, radius_y = _write_ellipse(
                    a, b, c, eps2d, opacities[i], antialiased, ellipses[camera, i], conics[camera, i]
                )
                u = view[15] * (x / z if perspective else x) + view[17]
                v = view[16] * (y / z if perspective else y) + view[18]
                if opacity == F(0) or (radius_x <= radius_clip and radius_y <= radius_clip):
                    continue
                if u + radius_x <= 0 or u - radius_x >= width or v + radius_y <= 0 or v - radius_y >= height:
                    continue
                radii[camera, i, 0], radii[camera, i, 1] = radius_x, radius_y
                means2d[camera, i, 0], means2d[camera, i, 1], depths[camera, i] = u, v, z
                effective_opacities[camera, i] = opacity
                if degree >= 0:
                    _color(degree, view, means[i], sh0[colored], sh_rest[colored], basis, colors[camera, i])
        broken[block] = unseen
