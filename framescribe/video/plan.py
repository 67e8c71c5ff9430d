"""What is read of a clip, and what is known of it: decided from its packets, before anything is decoded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.display import Pixels
from framescribe.video.looking import Look
from framescribe.video.sample import Selection, select_frames
from framescribe.video.timeline import PacketIndex, Span, Timeline, cut

Chooser = Callable[[Span, float], Selection]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """What is known of a clip before its frames are chosen.

    Attributes:
        facts: size, length, codec and damage of the clip.
        timestamps_s: float64 [N], seconds from the clip's start to each of its frames.
        numbers: int64 [N]: which frame of the clip each is. A picture that is held since before the clip comes once a
            second.
    """

    facts: VideoFacts
    timestamps_s: NDArray[np.float64]
    numbers: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is read of a clip, after one way of finding out what there is."""

    span: Span
    selection: Selection
    average_fps: float
    codec: str
    first_s: float
    pixel_aspect: Fraction
    video_bytes: int

    @property
    def numbers(self) -> list[int]:
        """Of the frames, counted in the video: ascending, each once."""
        wanted = [*self.selection.indices, *self.selection.also]
        return np.unique(self.span.numbers[wanted]).tolist()  # type: ignore[no-any-return]

    @property
    def slots(self) -> NDArray[np.int64]:
        """Of each chosen frame, its place in ``numbers``."""
        return np.searchsorted(self.numbers, self.span.numbers[list(self.selection.indices)])


def plan_of(
    clip: Clip,
    choose: Chooser,
    index: PacketIndex,
    timeline: Timeline,
    pts: NDArray[np.int64],
    stream: VideoStream,
    look: Look | None = None,
) -> Plan:
    """What is read of a clip, also for ``look``, if given."""
    span = cut(timeline, clip)
    selection = choose(span, index.average_fps)
    if look is not None:
        look.set_up(stream)
        selection = replace(selection, also=look.plan(span, np.isin(pts, index.disposable_pts)))
    codec = stream.codec_context.codec.canonical_name
    first_s = float(pts[0]) * index.time_base_s
    ratio = stream.sample_aspect_ratio  # PyAV's own kind of fraction, or none
    pixel_aspect = Fraction(ratio.numerator, ratio.denominator) if ratio else Fraction(1)
    end_s = math.inf if clip.end_s is None else clip.end_s
    start_pts, end_pts = (int(pts[0]) + seconds / index.time_base_s for seconds in (clip.start_s, end_s))
    video_bytes = index.bytes_between(start_pts, end_pts)
    return Plan(span, selection, index.average_fps, codec, first_s, pixel_aspect, video_bytes)


def probe_of(plan: Plan, width: int, height: int, quarter_turns: int) -> Probe:
    """What is known of a clip once its first frame is there; width and height are those of the displayed picture."""
    span = plan.span
    facts = VideoFacts(
        width=width,
        height=height,
        fps=plan.average_fps,
        duration_s=span.duration_s,
        codec=plan.codec,
        num_frames=span.num_frames,
        missing_s=span.missing_s,
        rotation=quarter_turns % 4 * 90,
    )
    return Probe(facts, span.timestamps_s, span.numbers - span.numbers[0])


def chosen(seen: Probe, selection: Selection, pixels: Pixels) -> Frames:
    """The frames that were chosen of a clip."""
    return Frames(
        pixels=pixels,
        indices=tuple(seen.numbers[list(selection.indices)].tolist()),
        timestamps_s=tuple(seen.timestamps_s[list(selection.indices)].tolist()),
        covered_s=selection.covered_s,
        facts=seen.facts,
    )


def chooser(sampling: FrameSampling) -> Chooser:
    """What chooses the frames of a span as ``sampling`` says."""
    return lambda span, average_fps: select_frames(span.timestamps_s, average_fps, span.duration_s, sampling)
