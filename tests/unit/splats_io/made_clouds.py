"""Clouds for the tests of formats: values as trained splats have them, which every format can hold."""

from __future__ import annotations

import numpy as np

from backend.splats.cloud import SplatCloud


def made_cloud(n: int, degree: int, seed: int = 0) -> SplatCloud:
    """Rotations of any length; colours near 0..1; view-dependent colours well within -1..1."""
    random = np.random.default_rng(seed)
    k = (degree + 1) ** 2
    sh = random.normal(scale=0.15, size=(n, k, 3)).clip(-0.9, 0.9)
    sh[:, 0] = random.uniform(-1.7, 1.7, size=(n, 3))
    return SplatCloud(
        random.normal(size=(n, 3)).astype(np.float32),
        (random.normal(size=(n, 4)) * random.uniform(0.2, 3, size=(n, 1))).astype(np.float32),
        random.uniform(-7, -1, size=(n, 3)).astype(np.float32),
        random.uniform(-5, 5, size=n).astype(np.float32),
        sh.astype(np.float32),
    )


def worst_errors(read: SplatCloud, truth: SplatCloud) -> dict[str, float]:
    """The largest difference of each attribute, in the unit that formats quantise it in; rotations in degrees.

    A splat looks the same when it is turned half around one of its own axes, as some programs do.
    """
    opacity = [1 / (1 + np.exp(-cloud.opacity_logits.astype(np.float64))) for cloud in (read, truth)]
    quats = [cloud.quats.astype(np.float64) for cloud in (read, truth)]
    ours, true = (quat / np.linalg.norm(quat, axis=1, keepdims=True) for quat in quats)
    w, x, y, z = true.T
    alike = [true, np.stack([-x, w, z, -y], 1), np.stack([-y, -z, w, x], 1), np.stack([-z, y, -x, w], 1)]
    # The chord and not the cosine, whose arc loses half of the digits near 0.
    chord = np.min([np.linalg.norm(ours - sign * quat, axis=1) for quat in alike for sign in (1, -1)], axis=0)
    return {
        "means": float(np.abs(read.means - truth.means).max()),
        "log_scales": float(np.abs(read.log_scales - truth.log_scales).max()),
        "opacity": float(np.abs(opacity[0] - opacity[1]).max()),
        "rotation": float(np.degrees(4 * np.arcsin(chord.max() / 2))),
        "color": float(np.abs(read.sh[:, 0] - truth.sh[:, 0]).max()),
        "sh": float(np.abs(read.sh[:, 1:] - truth.sh[:, 1:]).max(initial=0)),
    }


def assert_within(read: SplatCloud, truth: SplatCloud, most: dict[str, float]) -> None:
    assert read.sh.shape == truth.sh.shape
    errors = worst_errors(read, truth)
    assert errors.keys() == most.keys()
    over = {name: (error, most[name]) for name, error in errors.items() if not error <= most[name]}
    assert not over, f"error and its limit: {over}"
