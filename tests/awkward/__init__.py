"""Awkward and broken inputs, each made in a moment by a small named function, with what is expected of it.

``AWKWARD[name].make(folder)`` makes the file in ``folder`` and gives the clip; ``outcome`` is ``success`` or the stage
of the error. Frame number i of a made video is grey of level ``grey(i)`` with a red top left quarter, so that a
test can tell which frame it got, and which way up.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from framescribe.types import Clip
from tests.awkward import damaged, names, no_video, shown, streams  # noqa: F401 - each registers its own
from tests.awkward.making import AWKWARD, FPS, NUM_FRAMES, clip, grey, video

__all__ = ["AWKWARD", "FPS", "NUM_FRAMES", "clip", "grey", "make", "video"]


def make(name: str, folder: Path) -> Clip:
    """Make one in a new folder of its own."""
    own = folder / name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    return AWKWARD[name].make(own)
