"""Finds SIFT features in photos."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# The threshold is per photo and not per layer of an octave: 0.013 / 3 here is between Lowe's and COLMAP's.
_CONTRAST = 0.013
_LAYERS = 3
_EDGE = 10
_SIGMA = 1.6


@dataclass(frozen=True)
class Features:
    """Corners of one photo."""

    keypoints: np.ndarray  # [F, 4] float32: x, y in pixels (first pixel's centre is (0.5, 0.5)), size, angle in radians
    descriptors: np.ndarray  # [F, 128] uint8, RootSIFT times 512

    def __len__(self) -> int:
        return len(self.keypoints)


def find_features(rgb: np.ndarray, inside: np.ndarray | None, *, at_most: int) -> Features:
    """SIFT features of a uint8 [H, W, 3] picture, strongest first; only where `inside` [H, W] is above 127."""
    # Without precise upscaling OpenCV's keypoints are off by a quarter of a pixel.
    sift = cv2.SIFT.create(at_most, _LAYERS, _CONTRAST, _EDGE, _SIGMA, True)
    found, descriptors = sift.detectAndCompute(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None)
    if descriptors is None or not found:
        return Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    rows = [(k.pt[0] + 0.5, k.pt[1] + 0.5, k.size / 2, np.radians(k.angle)) for k in found]
    keypoints = np.array(rows, np.float32)
    # RootSIFT (Arandjelovic and Zisserman 2012), scaled as COLMAP does.
    share = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    roots = np.rint(512 * np.sqrt(share)).clip(0, 255).astype(np.uint8)
    if inside is not None:
        height, width = inside.shape
        columns = keypoints[:, 0].astype(int).clip(0, width - 1)
        lines = keypoints[:, 1].astype(int).clip(0, height - 1)
        kept = inside[lines, columns] > 127
        keypoints, roots = keypoints[kept], roots[kept]
    return Features(np.ascontiguousarray(keypoints), np.ascontiguousarray(roots))
