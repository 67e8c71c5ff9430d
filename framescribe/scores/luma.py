"""How bright the points of pictures are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def luma(pictures_3: NDArray[Any]) -> NDArray[np.uint8]:
    """BT.601's luma in whole levels of 255: of uint8 RGB [..., 3], uint8 [...]."""
    red, green, blue = (pictures_3[..., channel].astype(np.uint16) for channel in range(3))
    return ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)
