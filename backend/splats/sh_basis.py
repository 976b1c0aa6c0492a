"""Real spherical harmonics of degree 0 to 4, in a form that numpy and torch share.

Signs and order are those of the 3DGS reference code (Condon-Shortley phase kept, m from -l to l). The constants are
those of Sloan 2013, "Efficient Spherical Harmonic Evaluation", JCGT 2(2).
"""

from __future__ import annotations

from typing import Any

C0 = 0.28209479177387814  # Y_00: a colour of 0.5 + C0 * coefficient


def basis_functions(degree: int, x: Any, y: Any, z: Any) -> list[Any]:
    """Values of the (degree + 1)^2 functions at unit directions, whose coordinates are arrays or tensors alike."""
    basis = [0 * x + C0]
    if degree >= 1:
        basis += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        basis += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree >= 3:
        basis += [
            -0.5900435899266435 * y * (3 * x * x - y * y),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
            0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
            1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    if degree >= 4:
        basis += [
            2.5033429417967046 * x * y * (x * x - y * y),
            -1.7701307697799304 * y * z * (3 * x * x - y * y),
            0.9461746957575601 * x * y * (7 * z * z - 1),
            -0.6690465435572892 * y * z * (7 * z * z - 3),
            0.10578554691520431 * (z * z * (35 * z * z - 30) + 3),
            -0.6690465435572892 * x * z * (7 * z * z - 3),
            0.47308734787878004 * (x * x - y * y) * (7 * z * z - 1),
            -1.7701307697799304 * x * z * (x * x - 3 * y * y),
            0.6258357354491761 * (x * x * (x * x - 3 * y * y) - y * y * (3 * x * x - y * y)),
        ]
    return basis
