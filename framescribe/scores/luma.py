"""How bright the points of pictures are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def luma(pictures_3: NDArray[Any]) -> NDArray[np.uint8]:
    """BT.601's luma in whole levels of 255: of uint8 RGB [..., 3], uint8 [...]."""
    weighted = np.zeros(pictures_3.shape[:-1], np.uint16)
    for channel, weight in enumerate((77, 150, 29)):
        # NumPy is slow at every third byte, so that a channel is copied first.
        weighted += np.multiply(np.ascontiguousarray(pictures_3[..., channel]), weight, dtype=np.uint16)
    return (weighted >> 8).astype(np.uint8)
