"""Frames that the model sees, of a video that is in memory as pictures."""

from __future__ import annotations

import numpy as np

from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.sample import select_frames
from framescribe.video.timeline import Timeline, cut
from framescribe.video_frames import VideoFrames


def chosen_frames(video: VideoFrames, clip: Clip, sampling: FrameSampling) -> Frames:
    """As ``decode_frames``, which see.

    Raises:
        ClipError: at stage ``sample``: the span holds no picture.
    """
    span = cut(Timeline(video.timestamps_s, video.duration_s), clip)
    selection = select_frames(span.timestamps_s, video.fps, span.duration_s, sampling)
    indices = list(selection.indices)
    height, width = video.pixels.shape[2:]
    return Frames(
        pixels=np.ascontiguousarray(video.pixels[span.numbers[indices]]),
        indices=tuple((span.numbers[indices] - span.numbers[0]).tolist()),
        timestamps_s=tuple(span.timestamps_s[indices].tolist()),
        covered_s=selection.covered_s,
        facts=VideoFacts(width, height, video.fps, span.duration_s, "frames", span.num_frames),
    )
