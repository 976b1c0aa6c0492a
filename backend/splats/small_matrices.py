"""3x3 matrices inside kernels, as tuples of rows, which stay in registers where arrays would not."""

from __future__ import annotations

from backend.splats.kernels import device_function


@device_function
def rows_of(matrices, n):  # type: ignore[no-untyped-def]
    """The n-th of [N, 3, 3]."""
    return (
        (matrices[n, 0, 0], matrices[n, 0, 1], matrices[n, 0, 2]),
        (matrices[n, 1, 0], matrices[n, 1, 1], matrices[n, 1, 2]),
        (matrices[n, 2, 0], matrices[n, 2, 1], matrices[n, 2, 2]),
    )


@device_function
def write_rows(matrices, n, rows):  # type: ignore[no-untyped-def]
    """Into the n-th of [N, 3, 3]."""
    a, b, c = rows
    matrices[n, 0, 0], matrices[n, 0, 1], matrices[n, 0, 2] = a[0], a[1], a[2]
    matrices[n, 1, 0], matrices[n, 1, 1], matrices[n, 1, 2] = b[0], b[1], b[2]
    matrices[n, 2, 0], matrices[n, 2, 1], matrices[n, 2, 2] = c[0], c[1], c[2]


@device_function
def dot(a, b):  # type: ignore[no-untyped-def]
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@device_function
def cross(a, b):  # type: ignore[no-untyped-def]
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@device_function
def cofactors(matrix):  # type: ignore[no-untyped-def]
    """The determinant times the inverse's transpose."""
    a, b, c = matrix
    return cross(b, c), cross(c, a), cross(a, b)


@device_function
def product(left, right):  # type: ignore[no-untyped-def]
    return _row(left[0], right), _row(left[1], right), _row(left[2], right)


@device_function
def transposed(m):  # type: ignore[no-untyped-def]
    return (m[0][0], m[1][0], m[2][0]), (m[0][1], m[1][1], m[2][1]), (m[0][2], m[1][2], m[2][2])


@device_function
def sum_of(p, left, q, right):  # type: ignore[no-untyped-def]
    """p times one matrix and q times another."""
    return _mix(p, left[0], q, right[0]), _mix(p, left[1], q, right[1]), _mix(p, left[2], q, right[2])


@device_function
def _row(row, right):  # type: ignore[no-untyped-def]
    p, q, r = row
    a, b, c = right
    return p * a[0] + q * b[0] + r * c[0], p * a[1] + q * b[1] + r * c[1], p * a[2] + q * b[2] + r * c[2]


@device_function
def _mix(p, a, q, b):  # type: ignore[no-untyped-def]
    return p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]
