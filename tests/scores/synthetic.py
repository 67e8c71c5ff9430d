"""Clips as measurements see them, made of arrays."""

from __future__ import annotations

import numpy as np

from framescribe.scores.luma import luma
from framescribe.scores.pictures import ClipFacts, ClipPictures


def pictures_of(frames_THW3: np.ndarray, fps: float = 24.0, video_bytes: int = 100_000) -> ClipPictures:
    """What measurements are given of a clip of these frames; small and tiny pictures are taken by skipping pixels."""
    count, height, width, _ = frames_THW3.shape
    seconds = np.arange(count) / fps
    halves = np.unique(np.round(np.arange(0, seconds[-1] + 1e-9, 0.5) * fps).astype(int))
    small = frames_THW3[halves, :: -(-max(height, width) // 192), :: -(-max(height, width) // 192)]
    step = -(-max(height, width) // 64)
    large = halves[np.unique(np.linspace(0, len(halves) - 1, 5).round().astype(int))]
    return ClipPictures(
        facts=ClipFacts(width, height, fps, count / fps, count, "h264", video_bytes),
        looked_at_s=count / fps,
        small_THW3=small,
        small_s=seconds[halves],
        tiny_NHW=frames_THW3[:, ::step, ::step].mean(-1).round().astype(np.uint8),
        tiny_s=seconds,
        large_KHW3=frames_THW3[large],
        large_grey_KHW=luma(frames_THW3[large]),
        large_s=seconds[large],
        vectors=(np.empty((0, 6), np.int32),) * len(halves),
        coded_size=(width, height),
    )
