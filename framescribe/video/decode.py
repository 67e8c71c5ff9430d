"""From a clip to the frames that the model sees.

A first pass reads the packets without decoding them: they say when each frame is shown. Frames are chosen
from that, and a second pass decodes what leads to them. Where the packets turn out not to tell the truth
(damage, no timestamps), a slow reading decodes everything, packet by packet, and the choice is made among
what decodes.

Not handled: damage in what no chosen frame depends on, which the second pass leaves out; mirrored display; non-square
pixels and HDR transfer curves (pictures are as they are stored, but upright).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.container import reason, video_stream
from framescribe.video.display import Display, Pixels
from framescribe.video.in_memory import chosen_frames
from framescribe.video.packets import SEEKABLE_FORMATS, TooManyPackets, index_packets
from framescribe.video.reading import (
    MAX_THREADS,
    IndexDisagrees,
    ReadableFrames,
    announced_frames,
    frames_numbered,
    readable_pts,
)
from framescribe.video.sample import Selection, select_frames
from framescribe.video.source import open_source
from framescribe.video.timeline import PacketIndex, Span, Timeline, cut
from framescribe.video_frames import VideoFrames

Opened = tuple[InputContainer, VideoStream]
Chooser = Callable[[Span, float], Selection]
Allocator = Callable[[tuple[int, ...]], Pixels]


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


def _allocate(shape: tuple[int, ...]) -> Pixels:
    return np.empty(shape, np.uint8)


def decode_frames(
    clip: Clip,
    sampling: FrameSampling,
    allocate: Allocator = _allocate,
    max_threads: int = MAX_THREADS,
) -> Frames:
    """Decode the frames of a clip that ``sampling`` chooses.

    Args:
        clip: what to read.
        sampling: which of its frames.
        allocate: makes the uint8 array of a given shape that the pixels are written to, such as shared memory.
        max_threads: threads that may decode large pictures; smaller ones have one.

    Returns:
        Frames with pixels uint8 [T, 3, H, W], RGB, upright, and timestamps in seconds from the clip's start. Those of a
        video in memory are its own array, not what ``allocate`` gives.

    Raises:
        ClipError: at stage ``open`` (the source cannot be opened), ``decode`` (nothing in it can be read as
            video) or ``sample`` (the span holds no frame).
    """
    if isinstance(clip.data, VideoFrames):
        return chosen_frames(clip.data, clip, sampling)
    seen, selection, pixels = _read(clip, chooser(sampling), allocate, max_threads)
    return chosen(seen, selection, pixels)


def probe(clip: Clip) -> Probe:
    """Reads what a clip is, and decodes no more than its first frame (all of it where the packets cannot be trusted).

    Raises:
        ClipError: as ``decode_frames``.
    """
    return _read(clip, lambda span, average_fps: Selection(indices=(0,), covered_s=0.0), _allocate)[0]


def read_frames(clip: Clip, long_side: int | None = None) -> Iterator[tuple[float, Pixels]]:
    """Reads every frame of a clip that can be decoded, in order.

    Args:
        clip: what to read.
        long_side: shrinks pictures to so many pixels on their longer side; None keeps their size.

    Yields:
        Seconds from the video's first frame, and the picture: uint8 [3, H, W], RGB, upright. A picture that is held
        since before the clip comes at its start.

    Raises:
        ClipError: as ``decode_frames``.
    """
    display = Display(long_side)
    for shown in shown_frames(clip):
        yield shown.time_s, display(shown.frame)


def shown_frames(clip: Clip) -> Iterator[ShownFrame]:
    """Reads the frames of ``read_frames`` as they were decoded.

    Raises:
        ClipError: as ``decode_frames``.
    """
    last_s = -1.0
    for plan, number, frame in _planned(
        clip, lambda span, average_fps: Selection(tuple(range(len(span.numbers))), 0.0)
    ):
        at = int(np.searchsorted(plan.span.numbers, plan.numbers[number]))
        time_s = clip.start_s + float(plan.span.timestamps_s[at])
        if time_s > last_s:  # after a failure it is read again, and this one has been given
            last_s = time_s
            yield ShownFrame(time_s, frame, plan.first_s, plan.pixel_aspect)


@dataclass(frozen=True, slots=True, eq=False)
class ShownFrame:
    """A decoded frame.

    Attributes:
        time_s: seconds from the video's first frame until it is shown.
        frame: as it was decoded: not turned.
        first_s: when the video's first frame is shown, on the container's own clock.
        pixel_aspect: width of a stored pixel divided by its height.
    """

    time_s: float
    frame: VideoFrame
    first_s: float
    pixel_aspect: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is read of a clip, after one way of finding out what there is."""

    span: Span
    selection: Selection
    average_fps: float
    codec: str
    first_s: float
    pixel_aspect: Fraction

    @property
    def numbers(self) -> list[int]:
        """Of the frames, counted in the video: ascending, each once."""
        return np.unique(self.span.numbers[list(self.selection.indices)]).tolist()  # type: ignore[no-any-return]

    @property
    def slots(self) -> NDArray[np.int64]:
        """Of each chosen frame, its place in ``numbers``."""
        return np.searchsorted(self.numbers, self.span.numbers[list(self.selection.indices)])


def _planned(
    clip: Clip, choose: Chooser, max_threads: int = MAX_THREADS
) -> Iterator[tuple[Plan, int, VideoFrame]]:
    """The frames that are chosen: the plan, the place among ``plan.numbers``, the frame.

    If the packets did not tell the truth, it all comes once more under another plan.
    """
    with open_source(clip) as file:
        try:
            with video_stream(file, clip) as opened:
                index = index_packets(*opened)
                if index.is_reliable:
                    try:
                        with from_start(file, clip, opened, index) as again:
                            plan = plan_of(
                                clip, choose, index, index.timeline(index.pts), index.pts, again[1]
                            )
                            frames = announced_frames(*again, index, plan.numbers, max_threads)
                            yield from ((plan, place, frame) for place, frame in enumerate(frames))
                            return
                    except MemoryError:
                        raise  # FFmpeg's is one of its errors
                    except (IndexDisagrees, av.FFmpegError):
                        pass  # all of it is decoded
            with video_stream(file, clip) as opened:
                readable = ReadableFrames(*opened, index)
                pts = readable_pts(readable, index)
            if len(pts) == 0:
                raise ClipError("decode", f"{clip.source_video}: none of its frames can be decoded")
            with video_stream(file, clip) as opened:
                timeline = index.timeline(pts, readable.is_whole)
                plan = plan_of(clip, choose, index, timeline, pts, opened[1])
                frames = frames_numbered(ReadableFrames(*opened, index), plan.numbers)
                yield from ((plan, place, frame) for place, frame in enumerate(frames))
        except MemoryError:
            raise  # how much there may be is not known here
        except (IndexDisagrees, TooManyPackets, av.FFmpegError, OSError) as error:
            raise ClipError("decode", f"{clip.source_video}: cannot be decoded: {reason(error)}") from error


def plan_of(
    clip: Clip,
    choose: Chooser,
    index: PacketIndex,
    timeline: Timeline,
    pts: NDArray[np.int64],
    stream: VideoStream,
) -> Plan:
    span = cut(timeline, clip)
    codec = stream.codec_context.codec.canonical_name
    first_s = float(pts[0]) * index.time_base_s
    ratio = stream.sample_aspect_ratio  # PyAV's own kind of fraction, or none
    pixel_aspect = Fraction(ratio.numerator, ratio.denominator) if ratio else Fraction(1)
    return Plan(span, choose(span, index.average_fps), index.average_fps, codec, first_s, pixel_aspect)


@contextlib.contextmanager
def from_start(file: IO[bytes], clip: Clip, opened: Opened, index: PacketIndex) -> Iterator[Opened]:
    """A stream whose packets have been read, to be read once more."""
    container, stream = opened
    # Opening again takes about as long as decoding a frame.
    if container.format.name in SEEKABLE_FORMATS and not index.has_jumps:
        container.seek(int(index.keyframe_pts[0]), stream=stream)
        yield opened
    else:
        with video_stream(file, clip) as again:
            yield again


def _read(
    clip: Clip, choose: Chooser, allocate: Allocator, max_threads: int = MAX_THREADS
) -> tuple[Probe, Selection, Pixels]:
    pixels: Pixels = np.empty((0, 3, 0, 0), np.uint8)
    display = Display()
    for plan, place, frame in _planned(clip, choose, max_threads):
        if place == 0:
            display = Display()
            slots = plan.slots
            picture = display(frame)
            pixels = allocate((len(slots), *picture.shape))
        else:
            picture = display(frame)
        for slot in np.flatnonzero(slots == place):
            pixels[slot] = picture
        del picture  # so that the next one takes its memory
    return probe_of(plan, pixels.shape[3], pixels.shape[2], display.quarter_turns), plan.selection, pixels


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
