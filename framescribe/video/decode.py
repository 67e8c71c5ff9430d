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
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framescribe.errors import ClipError
from framescribe.scores.measure import measure_all
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.container import reason, video_stream
from framescribe.video.display import Display, Pixels
from framescribe.video.encoded_frames import decode_pictures
from framescribe.video.in_memory import chosen_frames
from framescribe.video.looking import Look
from framescribe.video.packets import SEEKABLE_FORMATS, TooManyPackets, index_packets
from framescribe.video.plan import Chooser, Plan, Probe, chooser, chosen, plan_of, probe_of
from framescribe.video.reading import (
    MAX_THREADS,
    IndexDisagrees,
    ReadableFrames,
    announced_frames,
    frames_numbered,
    readable_pts,
)
from framescribe.video.sample import Selection
from framescribe.video.source import open_source
from framescribe.video.timeline import PacketIndex
from framescribe.video_frames import EncodedFrames, VideoFrames

Opened = tuple[InputContainer, VideoStream]
Allocator = Callable[[tuple[int, ...]], Pixels]


def _allocate(shape: tuple[int, ...]) -> Pixels:
    return np.empty(shape, np.uint8)


def decode_frames(
    clip: Clip,
    sampling: FrameSampling,
    allocate: Allocator = _allocate,
    max_threads: int = MAX_THREADS,
    scorers: tuple[Scorer, ...] = (),
) -> Frames:
    """Decode the frames of a clip that ``sampling`` chooses.

    Args:
        clip: what to read.
        sampling: which of its frames.
        allocate: makes the uint8 array of a given shape that the pixels are written to, such as shared memory.
        max_threads: threads that may decode large pictures; smaller ones have one.
        scorers: measure the clip in the same pass.

    Returns:
        Frames with pixels uint8 [T, 3, H, W], RGB, upright, and timestamps in seconds from the clip's start. Those of a
        video in memory are its own array, not what ``allocate`` gives.

    Raises:
        ClipError: at stage ``open`` (the source cannot be opened), ``decode`` (nothing in it can be read as
            video) or ``sample`` (the span holds no frame).
    """
    if isinstance(clip.data, VideoFrames):
        return chosen_frames(clip.data, clip, sampling, scorers)
    if isinstance(clip.data, EncodedFrames):
        return decode_pictures(clip.data, clip.source_video, allocate)
    look = Look(scorers) if scorers else None
    seen, plan, pixels = _read(clip, chooser(sampling), allocate, max_threads, look)
    frames = chosen(seen, plan.selection, pixels)
    if look is None:
        return frames
    pictures = look.pictures(frames.facts, plan.video_bytes)
    return replace(frames, measured=measure_all(pictures, scorers, clip.source_video))


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


def _planned(
    clip: Clip, choose: Chooser, max_threads: int = MAX_THREADS, look: Look | None = None
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
                            timeline = index.timeline(index.pts)
                            plan = plan_of(clip, choose, index, timeline, index.pts, again[1], look)
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
                plan = plan_of(clip, choose, index, timeline, pts, opened[1], look)
                frames = frames_numbered(ReadableFrames(*opened, index), plan.numbers)
                yield from ((plan, place, frame) for place, frame in enumerate(frames))
        except MemoryError:
            raise  # how much there may be is not known here
        except (IndexDisagrees, TooManyPackets, av.FFmpegError, OSError) as error:
            raise ClipError("decode", f"{clip.source_video}: cannot be decoded: {reason(error)}") from error


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
    clip: Clip,
    choose: Chooser,
    allocate: Allocator,
    max_threads: int = MAX_THREADS,
    look: Look | None = None,
) -> tuple[Probe, Plan, Pixels]:
    pixels: Pixels = np.empty((0, 3, 0, 0), np.uint8)
    display = Display()
    for plan, place, frame in _planned(clip, choose, max_threads, look):
        if place == 0:
            display, slots, numbers = Display(), plan.slots, plan.numbers
        if look is not None:
            look.take(numbers[place], frame)
        if len(here := np.flatnonzero(slots == place)) == 0:
            continue  # only for scores
        picture = display(frame)
        if 0 in here:
            pixels = allocate((len(slots), *picture.shape))
        pixels[here] = picture
        del picture  # so that the next one takes its memory
    return probe_of(plan, pixels.shape[3], pixels.shape[2], display.quarter_turns), plan, pixels
