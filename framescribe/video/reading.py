"""Frames out of a stream: those that its packets announce, or whatever of it can be decoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.video.needed import NeededPackets
from framescribe.video.packets import SEEKABLE_FORMATS, Clock, packets
from framescribe.video.timeline import PacketIndex

_SEEK_FRAMES = 24
"""About as many frames are decoded in the time that a seek takes."""

_LARGE_PIXELS = 1280 * 720
"""Several threads decode a larger picture sooner; for smaller ones they take more from the cores than they give."""

_PIXELS_OF_THREADS = 8 * 3840 * 2160
_MAX_THREADS = 16
"""Each thread holds pictures of its own: fewer of them for pictures above 4K."""


class IndexDisagrees(Exception):
    """The decoder does not give the frames that were announced."""

    def __str__(self) -> str:
        return "its frames differ from one reading to the next"


def announced_frames(
    container: InputContainer, stream: VideoStream, index: PacketIndex, wanted: list[int]
) -> Iterator[VideoFrame]:
    """The frames with the numbers ``wanted``, ascending, each with the timestamp that the index has for it.

    Raises:
        IndexDisagrees: a frame comes that was not announced as the next one, or one of them does not come, or comes
            damaged.
    """
    pixels = stream.codec_context.width * stream.codec_context.height
    if pixels > _LARGE_PIXELS:
        stream.thread_type = "AUTO"
        if pixels * _MAX_THREADS > _PIXELS_OF_THREADS:
            stream.codec_context.thread_count = max(1, _PIXELS_OF_THREADS // pixels)
    else:
        stream.codec_context.thread_count = 1
    may_seek = container.format.name in SEEKABLE_FORMATS and not index.has_jumps
    announced: list[int] = index.pts.tolist()
    needed = NeededPackets(stream, set(index.pts[wanted].tolist()))
    frames = _decoded(container, stream, index, needed)
    position = 0  # number of the frame that comes next
    for number in wanted:
        keyframe = int(
            index.keyframe_pts[np.searchsorted(index.keyframe_pts, index.pts[number], "right") - 1]
        )
        at = int(np.searchsorted(index.pts, keyframe))
        if may_seek and at - position > _SEEK_FRAMES:
            container.seek(keyframe, stream=stream)
            frames, position = _from(keyframe, _decoded(container, stream, index, needed)), at
        for frame in frames:
            while position < len(announced) and announced[position] in needed.left_out_pts:
                position += 1
            if position == len(announced) or frame.pts != announced[position]:
                raise IndexDisagrees
            position += 1
            if position == number + 1:
                if frame.is_corrupt:
                    raise IndexDisagrees
                yield frame
                break
        else:
            raise IndexDisagrees


def _from(pts: int, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Frames from a keyframe on. Those that come before it need what was before them, or seeking landed too early."""
    return itertools.dropwhile(lambda frame: frame.pts is not None and frame.pts < pts, frames)


def _decoded(
    container: InputContainer, stream: VideoStream, index: PacketIndex, needed: NeededPackets
) -> Iterator[VideoFrame]:
    clock = Clock(container, stream) if index.has_jumps else None
    for packet in packets(container, stream, clock):
        if needed(packet):
            yield from stream.codec_context.decode(packet)
    yield from stream.codec_context.decode(None)  # what is held back


class ReadableFrames:
    """Every frame that decodes without damage, packet by packet, whatever fails in between.

    Attributes:
        is_whole: nothing has failed so far.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, index: PacketIndex) -> None:
        self._container, self._stream = container, stream
        self._clock = Clock(container, stream) if index.has_jumps else None
        self.is_whole = True

    def __iter__(self) -> Iterator[VideoFrame]:
        context = self._stream.codec_context
        context.thread_count = 1  # threads report an error late, and good frames are lost with it
        for packet in itertools.chain(packets(self._container, self._stream, self._clock), [None]):
            if packet is not None and packet.is_corrupt:
                self.is_whole = False
            try:
                frames = context.decode(packet)
            except MemoryError:
                raise  # no fault of the packet's
            except av.FFmpegError:
                self.is_whole = False
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.is_whole = False
                else:
                    yield frame


def frames_numbered(frames: ReadableFrames, wanted: list[int]) -> Iterator[VideoFrame]:
    """Of the frames that can be read, those with the numbers ``wanted``, in order."""
    remaining = set(wanted)
    for number, frame in enumerate(frames):
        if number in remaining:
            remaining.remove(number)
            yield frame
        if not remaining:
            return
    raise IndexDisagrees


def readable_pts(frames: ReadableFrames, index: PacketIndex) -> NDArray[np.int64]:
    """int64 [N], ascending: when each frame that can be read is shown; by the frame rate where that is unsaid.

    Decoders give frames in the order in which they are shown. Where the stamps that they give with them are not in
    that order (AVI, with B-frames packed together), the stamps of the packets are, and else those of decoding.
    """
    pairs = [(frame.pts, frame.dts) for frame in frames]
    for stamps in ([pts for pts, _ in pairs], index.pts.tolist(), [dts for _, dts in pairs]):
        said = [stamp for stamp in stamps if stamp is not None]
        if len(said) == len(pairs) and (np.diff(said) > 0).all():
            return np.array(said, np.int64)
    found: list[int] = []
    for pts, dts in pairs:
        guessed = found[-1] + index.frame_units if found else 0
        stamp = pts if pts is not None else dts if dts is not None else guessed
        found.append(max(stamp, found[-1]) if found else stamp)
    return np.array(found, np.int64)
