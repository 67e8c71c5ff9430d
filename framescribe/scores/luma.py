"""How bright the points of pictures are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def luma(pictures_3: NDArray[Any]) -> NDArray[np.uint8]:
    """BT.601's luma in whole levels of 255: of uint8 RGB [..., 3], uint8 [...]."""
    weighted: NDArray[np.uint16] = np.multiply(pictures_3[..., 0], 77, dtype=np.uint16)
    for channel, weight in ((1, 150), (2, 29)):
        weighted += np.multiply(pictures_3[..., channel], weight, dtype=np.uint16)
    return (weighted >> 8).astype(np.uint8)
