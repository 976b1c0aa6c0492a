"""The window and constants of SSIM."""

import numpy as np

TAPS = 11
HALF = TAPS // 2
_offsets = np.arange(TAPS) - HALF
_weights = np.exp(-(_offsets**2) / (2 * 1.5**2))
WINDOW = (_weights / _weights.sum()).astype(np.float32)  # [11]
C1 = 0.01**2
C2 = 0.03**2
