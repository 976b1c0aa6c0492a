"""Spherical harmonics as scalar kernels: values and gradients of the basis at one direction.

The readable form, with sources, is `backend/splats/spherical_harmonics.py`.
"""

from __future__ import annotations

import numpy as np

from backend.splats.kernels import device_function

F = np.float32
BASIS_SIZE = 25


@device_function
def fill_basis(degree, x, y, z, basis):  # type: ignore[no-untyped-def]
    """Writes the (degree + 1)^2 basis values at the unit direction (x, y, z) into `basis`."""
    basis[0] = F(0.28209479177387814)
    if degree >= 1:
        basis[1] = F(-0.4886025119029199) * y
        basis[2] = F(0.4886025119029199) * z
        basis[3] = F(-0.4886025119029199) * x
    if degree >= 2:
        basis[4] = F(1.0925484305920792) * x * y
        basis[5] = F(-1.0925484305920792) * y * z
        basis[6] = F(0.31539156525252005) * (F(2) * z * z - x * x - y * y)
        basis[7] = F(-1.0925484305920792) * x * z
        basis[8] = F(0.5462742152960396) * (x * x - y * y)
    if degree >= 3:
        basis[9] = F(-0.5900435899266435) * y * (F(3) * x * x - y * y)
        basis[10] = F(2.890611442640554) * x * y * z
        basis[11] = F(-0.4570457994644658) * y * (F(4) * z * z - x * x - y * y)
        basis[12] = F(0.3731763325901154) * z * (F(2) * z * z - F(3) * x * x - F(3) * y * y)
        basis[13] = F(-0.4570457994644658) * x * (F(4) * z * z - x * x - y * y)
        basis[14] = F(1.445305721320277) * z * (x * x - y * y)
        basis[15] = F(-0.5900435899266435) * x * (x * x - F(3) * y * y)
    if degree >= 4:
        basis[16] = F(2.5033429417967046) * x * y * (x * x - y * y)
        basis[17] = F(-1.7701307697799304) * y * z * (F(3) * x * x - y * y)
        basis[18] = F(0.9461746957575601) * x * y * (F(7) * z * z - F(1))
        basis[19] = F(-0.6690465435572892) * y * z * (F(7) * z * z - F(3))
        basis[20] = F(0.10578554691520431) * (z * z * (F(35) * z * z - F(30)) + F(3))
        basis[21] = F(-0.6690465435572892) * x * z * (F(7) * z * z - F(3))
        basis[22] = F(0.47308734787878004) * (x * x - y * y) * (F(7) * z * z - F(1))
        basis[23] = F(-1.7701307697799304) * x * z * (x * x - F(3) * y * y)
        basis[24] = F(0.6258357354491761) * (x * x * (x * x - F(3) * y * y) - y * y * (F(3) * x * x - y * y))


@device_function
def fill_basis_gradient(degree, x, y, z, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Writes the partial derivatives of each basis function's polynomial by x, y and z (entry 0 is constant: 0).

    The polynomials are differentiated as written; a caller must remove the part along the direction itself.
    """
    for k in range((degree + 1) * (degree + 1)):
        dx[k] = F(0)
        dy[k] = F(0)
        dz[k] = F(0)
    if degree >= 1:
        dy[1] = F(-0.4886025119029199)
        dz[2] = F(0.4886025119029199)
        dx[3] = F(-0.4886025119029199)
    if degree >= 2:
        a = F(1.0925484305920792)
        dx[4], dy[4] = a * y, a * x
        dy[5], dz[5] = -a * z, -a * y
        b = F(2 * 0.31539156525252005)
        dx[6], dy[6], dz[6] = -b * x, -b * y, F(2) * b * z
        dx[7], dz[7] = -a * z, -a * x
        dx[8], dy[8] = a * x, -a * y
    if degree >= 3:
        _fill_cubic_gradient(x, y, z, dx, dy, dz)
    if degree >= 4:
        _fill_quartic_gradient(x, y, z, dx, dy, dz)


@device_function
def _fill_cubic_gradient(x, y, z, dx, dy, dz):  # type: ignore[no-untyped-def]
    xx, yy, zz = x * x, y * y, z * z
    a = F(-0.5900435899266435)
    dx[9], dy[9] = a * F(6) * x * y, a * F(3) * (xx - yy)
    b = F(2.890611442640554)
    dx[10], dy[10], dz[10] = b * y * z, b * x * z, b * x * y
    c = F(-0.4570457994644658)
    dx[11], dy[11], dz[11] = c * F(-2) * x * y, c * (F(4) * zz - xx - F(3) * yy), c * F(8) * y * z
    d = F(0.3731763325901154)
    dx[12], dy[12], dz[12] = d * F(-6) * x * z, d * F(-6) * y * z, d * F(3) * (F(2) * zz - xx - yy)
    dx[13], dy[13], dz[13] = c * (F(4) * zz - F(3) * xx - yy), c * F(-2) * x * y, c * F(8) * x * z
    e = F(1.445305721320277)
    dx[14], dy[14], dz[14] = e * F(2) * x * z, e * F(-2) * y * z, e * (xx - yy)
    dx[15], dy[15] = a * F(3) * (xx - yy), a * F(-6) * x * y


@device_function
def _fill_quartic_gradient(x, y, z, dx, dy, dz):  # type: ignore[no-untyped-def]
    xx, yy, zz = x * x, y * y, z * z
    a = F(2.5033429417967046)
    dx[16], dy[16] = a * y * (F(3) * xx - yy), a * x * (xx - F(3) * yy)
    b = F(-1.7701307697799304)
    dx[17], dy[17], dz[17] = b * F(6) * x * y * z, b * F(3) * z * (xx - yy), b * y * (F(3) * xx - yy)
    c = F(0.9461746957575601)
    dx[18], dy[18], dz[18] = c * y * (F(7) * zz - F(1)), c * x * (F(7) * zz - F(1)), c * F(14) * x * y * z
    d = F(-0.6690465435572892)
    dy[19], dz[19] = d * z * (F(7) * zz - F(3)), d * y * (F(21) * zz - F(3))
    dz[20] = F(0.10578554691520431) * z * (F(140) * zz - F(60))
    dx[21], dz[21] = d * z * (F(7) * zz - F(3)), d * x * (F(21) * zz - F(3))
    e = F(0.47308734787878004)
    dx[22], dy[22] = e * F(2) * x * (F(7) * zz - F(1)), e * F(-2) * y * (F(7) * zz - F(1))
    dz[22] = e * F(14) * z * (xx - yy)
    dx[23], dy[23], dz[23] = b * F(3) * z * (xx - yy), b * F(-6) * x * y * z, b * x * (xx - F(3) * yy)
    f = F(0.6258357354491761 * 4)
    dx[24], dy[24] = f * x * (xx - F(3) * yy), f * y * (yy - F(3) * xx)
