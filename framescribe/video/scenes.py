"""Where one scene ends and the next begins, by how much the picture changes.

The method is PySceneDetect's adaptive detector at its own settings: a frame's change is the mean difference of hue,
saturation and brightness to the frame before it, and a cut is a change that stands out from those around it, so that
a moving camera is none. Ours needs no OpenCV, whose builds need a desktop's libraries and replace one another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from framescribe.video.display import Pixels

SCENE_PICTURE_SIDE = 256
"""Scene cuts show in small pictures as well."""

NEIGHBOURS = 2
"""Frames on each side that a frame's change is compared with; a cut has as many before and after it."""

LEAST_RATIO = 3.0
"""How many times as large as its neighbours' mean the change at a cut is."""

LEAST_CHANGE = 15.0
"""The least change at a cut: the mean difference of the three channels, which range over 180, 256 and 256 levels."""


def scene_steps(frames: Iterable[tuple[float, Pixels]]) -> Iterator[float | None]:
    """The times of the frames that begin a new scene, and None for each that begins none: a sign that it goes on.

    Args:
        frames: time in seconds and picture of each frame, in order: uint8 [3, H, W], RGB, all of one size. The first
            one begins no scene.
    """
    changes = _changes(frames)
    width = 2 * NEIGHBOURS + 1
    window = list(itertools.islice(changes, width - 1))
    for newest in changes:
        window = [*window[1 - width :], newest]
        time_s, change = window[NEIGHBOURS]
        around = (sum(value for _, value in window) - change) / (width - 1)
        yield time_s if change >= LEAST_CHANGE and change >= LEAST_RATIO * around else None


def _changes(frames: Iterable[tuple[float, Pixels]]) -> Iterator[tuple[float, float]]:
    """Each frame's time and its difference to the frame before it; the first frame's is 0."""
    before = None
    for time_s, picture in frames:
        levels = hue_saturation_value(picture)
        yield time_s, 0.0 if before is None else float(np.abs(levels - before).mean())
        before = levels


def hue_saturation_value(picture: Pixels) -> npt.NDArray[np.float32]:
    """A picture's hue in steps of 2 degrees (0 to 180), saturation and value (0 to 255): [3, H, W], whole numbers."""
    red, green, blue = picture.astype(np.float32)
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    saturation = 255 * spread / np.maximum(value, 1)
    sextant = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = np.rint(30 * sextant / np.maximum(spread, 1))
    return np.stack([np.where(hue < 0, hue + 180, hue), np.rint(saturation), value])
