"""Frames that the model sees, of a video that is in memory as pictures."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from framescribe.measured import Measured
from framescribe.scores.measure import measure_all
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.looking import Look
from framescribe.video.sample import select_frames
from framescribe.video.timeline import Span, Timeline, cut
from framescribe.video_frames import VideoFrames


def chosen_frames(
    video: VideoFrames, clip: Clip, sampling: FrameSampling, scorers: tuple[Scorer, ...] = ()
) -> Frames:
    """As ``decode_frames``, which see.

    Raises:
        ClipError: at stage ``sample``: the span holds no picture.
    """
    span = cut(Timeline(video.timestamps_s, video.duration_s), clip)
    selection = select_frames(span.timestamps_s, video.fps, span.duration_s, sampling)
    indices = list(selection.indices)
    height, width = video.pixels.shape[2:]
    facts = VideoFacts(width, height, video.fps, span.duration_s, "frames", span.num_frames)
    return Frames(
        pixels=np.ascontiguousarray(video.pixels[span.numbers[indices]]),
        indices=tuple((span.numbers[indices] - span.numbers[0]).tolist()),
        timestamps_s=tuple(span.timestamps_s[indices].tolist()),
        covered_s=selection.covered_s,
        facts=facts,
        measured=_measured(video, span, facts, scorers, clip.source_video) if scorers else (),
    )


def _measured(
    video: VideoFrames, span: Span, facts: VideoFacts, scorers: tuple[Scorer, ...], source: str
) -> tuple[Measured, ...]:
    look = Look(scorers)
    wanted = list(look.plan(span, np.zeros(len(video.timestamps_s), np.bool_)))
    for number in np.unique(span.numbers[wanted]).tolist():
        picture_HW3 = np.ascontiguousarray(video.pixels[number].transpose(1, 2, 0))
        look.take(number, VideoFrame.from_ndarray(picture_HW3, "rgb24"))
    return measure_all(look.pictures(facts, 0), scorers, source)
