"""From a clip to the frames that the model sees. The only file that decodes.

A first pass reads the packets without decoding them: they say when each frame is shown. Frames are chosen
from that, and a second pass decodes what leads to them. Where the packets turn out not to tell the truth
(damage, no timestamps), a slow reading decodes everything, packet by packet, and the choice is made among
what decodes.

Not known here: damage between chosen frames that the second pass skips over; mirrored display; non-square
pixels and HDR transfer curves (pictures are given as they are stored, upright).
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling, VideoFacts
from framescribe.video.container import reason, video_stream
from framescribe.video.in_memory import chosen_frames
from framescribe.video.packets import SEEKABLE_FORMATS, index_packets, packets
from framescribe.video.sample import Selection, select_frames
from framescribe.video.source import open_source
from framescribe.video.timeline import PacketIndex, Span, cut
from framescribe.video_frames import VideoFrames

_SEEK_FRAMES = 24
"""About as many frames are decoded in the time that a seek takes."""

_LARGE_PIXELS = 1280 * 720
"""Several threads decode a larger picture sooner; for smaller ones they take more from the cores than they give."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Opened = tuple[InputContainer, VideoStream]
Chooser = Callable[[Span, float], Selection]
Allocator = Callable[[tuple[int, ...]], Pixels]
FrameReader = Callable[[InputContainer, VideoStream, PacketIndex, list[int]], Iterator[VideoFrame]]


class _IndexDisagrees(Exception):
    """The decoder does not give the frames that were announced."""

    def __str__(self) -> str:
        return "its frames differ from one reading to the next"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A clip looked at: what ``select_frames`` needs.

    Attributes:
        facts: of the clip.
        timestamps_s: float64 [N], seconds from the clip's start to each of its frames.
        average_fps: frames per second as the container states them.
    """

    facts: VideoFacts
    timestamps_s: NDArray[np.float64]
    average_fps: float


def _allocate(shape: tuple[int, ...]) -> Pixels:
    return np.empty(shape, np.uint8)


def decode_frames(clip: Clip, sampling: FrameSampling, allocate: Allocator = _allocate) -> Frames:
    """Decode the frames of a clip that ``sampling`` chooses.

    Args:
        clip: what to read.
        sampling: which of its frames.
        allocate: gives the uint8 array of a shape that the pixels are written to, such as shared memory.

    Returns:
        Frames with pixels uint8 [T, 3, H, W], RGB, upright, and timestamps in seconds from the clip's start. Those of a
        video in memory are its own array, not what ``allocate`` gives.

    Raises:
        ClipError: at stage ``open`` (the source cannot be opened), ``decode`` (nothing in it can be read as
            video) or ``sample`` (the span holds no frame).
    """
    if isinstance(clip.data, VideoFrames):
        return chosen_frames(clip.data, clip, sampling)

    def choose(span: Span, average_fps: float) -> Selection:
        return select_frames(span.timestamps_s, average_fps, span.duration_s, sampling)

    seen, selection, pixels = _read(clip, choose, allocate)
    return Frames(
        pixels=pixels,
        indices=selection.indices,
        timestamps_s=tuple(seen.timestamps_s[list(selection.indices)].tolist()),
        covered_s=selection.covered_s,
        facts=seen.facts,
    )


def probe(clip: Clip) -> Probe:
    """Look at a clip and decode no more than its first frame (all of it where the packets cannot be trusted).

    Raises:
        ClipError: as ``decode_frames``.
    """
    return _read(clip, lambda span, average_fps: Selection(indices=(0,), covered_s=0.0), _allocate)[0]


def read_frames(clip: Clip, long_side: int | None = None) -> Iterator[tuple[float, Pixels]]:
    """Every frame of a clip that can be read, in order.

    Args:
        clip: what to read.
        long_side: shrinks pictures to so many pixels on their longer side; None keeps their size.

    Yields:
        Seconds from the video's first frame, and the picture: uint8 [3, H, W], RGB, upright.

    Raises:
        ClipError: as ``decode_frames``, but for a clip without frames, which yields none.
    """
    end_s = math.inf if clip.end_s is None else clip.end_s
    display = _Display(long_side)
    with open_source(clip) as file:
        try:
            with video_stream(file, clip) as (container, stream):
                index = index_packets(container, stream)
            with video_stream(file, clip) as (container, stream):
                first: int | None = None
                for pts, frame in _stamped_frames(container, stream, index):
                    first = pts if first is None else first
                    time_s = (pts - first) * index.time_base_s
                    if time_s >= end_s:
                        return
                    if time_s >= clip.start_s:
                        yield time_s, display(frame)
        except (av.FFmpegError, OSError) as error:
            raise ClipError("decode", f"{clip.source_video}: cannot be decoded: {reason(error)}") from error


def _read(clip: Clip, choose: Chooser, allocate: Allocator) -> tuple[Probe, Selection, Pixels]:
    with open_source(clip) as file:
        try:
            with video_stream(file, clip) as opened:
                index = index_packets(*opened)
                if index.is_reliable:
                    with (
                        contextlib.suppress(_IndexDisagrees, av.FFmpegError),
                        _from_start(file, clip, opened, index) as again,
                    ):
                        return _read_chosen(clip, again, choose, allocate, index, index.pts, _frames_at)
            with video_stream(file, clip) as opened:
                pts = _readable_pts(*opened, index)
            if len(pts) == 0:
                raise ClipError("decode", f"{clip.source_video}: none of its frames can be decoded")
            with video_stream(file, clip) as opened:
                return _read_chosen(clip, opened, choose, allocate, index, pts, _frames_numbered)
        except (_IndexDisagrees, av.FFmpegError, OSError) as error:
            raise ClipError("decode", f"{clip.source_video}: cannot be decoded: {reason(error)}") from error


@contextlib.contextmanager
def _from_start(file: IO[bytes], clip: Clip, opened: Opened, index: PacketIndex) -> Iterator[Opened]:
    """A stream whose packets have been read, to be read once more."""
    container, stream = opened
    if container.format.name in SEEKABLE_FORMATS:  # opening again takes about as long as decoding a frame
        container.seek(int(index.keyframe_pts[0]), stream=stream)
        yield opened
    else:
        with video_stream(file, clip) as again:
            yield again


def _read_chosen(
    clip: Clip,
    opened: Opened,
    choose: Chooser,
    allocate: Allocator,
    index: PacketIndex,
    pts: NDArray[np.int64],
    frames: FrameReader,
) -> tuple[Probe, Selection, Pixels]:
    container, stream = opened
    span = cut(index.timeline(pts), clip)
    selection = choose(span, index.average_fps)
    wanted, slots = np.unique(selection.indices, return_inverse=True)
    pixels: Pixels = np.empty((0, 3, 0, 0), np.uint8)
    display = _Display()
    pictures = map(display, frames(container, stream, index, (wanted + span.first).tolist()))
    for number, picture in enumerate(pictures):
        if number == 0:
            pixels = allocate((len(slots), *picture.shape))
        pixels[slots == number] = picture
    facts = VideoFacts(
        width=pixels.shape[3],
        height=pixels.shape[2],
        fps=index.average_fps,
        duration_s=span.duration_s,
        codec=stream.codec_context.codec.canonical_name,
        num_frames=len(span.timestamps_s),
        missing_s=span.missing_s,
        rotation=display.quarter_turns % 4 * 90,
    )
    return Probe(facts, span.timestamps_s, index.average_fps), selection, pixels


class _Display:
    """Frames to RGB pictures [3, H, W], turned as displayed, all of the first one's size (a stream may change it)."""

    def __init__(self, long_side: int | None = None) -> None:
        self._long_side = long_side
        self._stored: tuple[int, int] | None = None  # width and height before turning
        self.quarter_turns = 0
        self._reformatter = VideoReformatter()  # kept: one for each frame costs 5 % more in all

    def __call__(self, frame: VideoFrame) -> Pixels:
        if self._stored is None:
            scale = min(1.0, (self._long_side or math.inf) / max(frame.width, frame.height))
            self._stored = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
            self.quarter_turns = round(frame.rotation / 90)
        rgb = self._reformatter.reformat(frame, *self._stored, "rgb24").to_ndarray()
        upright: Pixels = np.rot90(rgb, self.quarter_turns)  # both count counterclockwise
        return upright.transpose(2, 0, 1)


def _frames_at(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: list[int]
) -> Iterator[VideoFrame]:
    """The frames with the timestamps ``index.pts[wanted]``, in order.

    Raises:
        _IndexDisagrees: one of them does not come, or comes damaged.
    """
    if stream.codec_context.width * stream.codec_context.height > _LARGE_PIXELS:
        stream.thread_type = "AUTO"
    else:
        stream.codec_context.thread_count = 1
    may_seek = container.format.name in SEEKABLE_FORMATS
    frames = _decoded(container, stream)
    position = 0  # number of the frame that comes next
    for number in wanted:
        target = int(index.pts[number])
        keyframe = int(index.keyframe_pts[np.searchsorted(index.keyframe_pts, target, side="right") - 1])
        is_far = np.searchsorted(index.pts, keyframe) - position > _SEEK_FRAMES
        sought = may_seek and is_far
        if sought:
            container.seek(keyframe, stream=stream)
            frames = _decoded(container, stream)
        for frame in frames:
            if sought and frame.pts is not None and frame.pts < index.pts[position]:
                may_seek = False  # landed before where we were: a file without an index; read on from here
            sought = False
            if frame.pts == target and not frame.is_corrupt:
                yield frame
                position = number + 1
                break
            if frame.pts is None or frame.pts >= target:
                raise _IndexDisagrees
        else:
            raise _IndexDisagrees


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in itertools.chain(packets(container, stream), [None]):  # None: give what is held back
        yield from stream.codec_context.decode(packet)


def _frames_numbered(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: list[int]
) -> Iterator[VideoFrame]:
    """Of the frames that can be read, those with the numbers ``wanted``, in order."""
    remaining = set(wanted)
    for number, frame in enumerate(_readable_frames(container, stream)):
        if number in remaining:
            remaining.remove(number)
            yield frame
        if not remaining:
            return
    raise _IndexDisagrees


def _readable_pts(container: InputContainer, stream: VideoStream, index: PacketIndex) -> NDArray[np.int64]:
    """int64 [N], ascending: when each frame that can be read is shown."""
    return np.array([pts for pts, _ in _stamped_frames(container, stream, index)], np.int64)


def _stamped_frames(
    container: InputContainer, stream: VideoStream, index: PacketIndex
) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that can be read, with when it is shown, ascending; by the frame rate where that is unsaid."""
    last: int | None = None
    for frame in _readable_frames(container, stream):
        stamps = (frame.pts, frame.dts, 0 if last is None else last + index.frame_units)
        stamp = next(stamp for stamp in stamps if stamp is not None)
        last = stamp if last is None else max(stamp, last)
        yield last, frame


def _readable_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Every frame that decodes without damage, packet by packet, whatever fails in between."""
    context = stream.codec_context
    context.thread_count = 1  # threads report an error late, and good frames are lost with it
    for packet in itertools.chain(packets(container, stream), [None]):
        with contextlib.suppress(av.FFmpegError):
            yield from [frame for frame in context.decode(packet) if not frame.is_corrupt]
