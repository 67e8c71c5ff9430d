"""Frames out of a stream: those that its packets announce, or whatever of it can be decoded."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.video.cpus import usable_cpus
from framescribe.video.needed import NeededPackets
from framescribe.video.packets import SEEKABLE_FORMATS, Clock, is_shown, packets
from framescribe.video.timeline import PacketIndex

_LENIENT_CODECS = {"mpeg4"}
"""Whose decoders give pictures without what these refer to, should a packet be no keyframe as the container says."""

_LARGE_PIXELS = 1280 * 720
"""Several threads decode a larger picture sooner; for smaller ones they take more from the cores than they give."""

_PIXELS_OF_THREADS = 8 * 3840 * 2160
MAX_THREADS = 16
"""Each thread holds pictures of its own: fewer of them for pictures above 4K."""


class IndexDisagrees(Exception):
    """The decoder does not give the frames that were announced."""

    def __str__(self) -> str:
        return "its frames differ from one reading to the next"


class Shown(Protocol):
    """A frame that a decoder gives."""

    @property
    def pts(self) -> int | None: ...

    @property
    def is_corrupt(self) -> bool: ...


F = TypeVar("F", bound=Shown)
F_co = TypeVar("F_co", bound=Shown, covariant=True)


class PacketDecoder(Protocol[F_co]):
    """Packets in, frames out in the order in which they are shown: FFmpeg's decoder, or a GPU's."""

    def decode(self, packet: Packet[VideoStream] | None) -> Sequence[F_co]:
        """What comes with a packet; None gives what is held back."""

    def flush_buffers(self) -> None:
        """What comes next is from another place of the stream."""


def announced_frames(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    wanted: list[int],
    max_threads: int = MAX_THREADS,
) -> Iterator[VideoFrame]:
    """``announced``, decoded by FFmpeg."""
    _set_threads(stream, max_threads)
    return announced(container, stream, index, wanted, stream.codec_context)


def _set_threads(stream: VideoStream, max_threads: int) -> None:
    context = stream.codec_context
    pixels = max(1, context.width * context.height)
    count = min(max_threads, MAX_THREADS, _PIXELS_OF_THREADS // pixels, usable_cpus())
    if pixels > _LARGE_PIXELS and count > 1:
        stream.thread_type = "AUTO"
        context.thread_count = count
    else:
        context.thread_count = 1


def announced(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    wanted: list[int],
    decoder: PacketDecoder[F],
) -> Iterator[F]:
    """The frames with the numbers ``wanted``, ascending, each with the timestamp that the index has for it.

    Raises:
        IndexDisagrees: a frame comes that is not the next one of those whose packets were decoded, or a wanted one does
            not come, or comes damaged.
    """
    has_stamps = container.format.name in SEEKABLE_FORMATS and not index.has_jumps
    is_strict = stream.codec_context.codec.canonical_name not in _LENIENT_CODECS
    needed = NeededPackets(stream, index, wanted, may_leave_out=has_stamps and is_strict)
    fed: list[int] = []  # stamps of the frames that are to come
    wanted_pts = set(index.pts[wanted].tolist())
    for frame in _decoded(container, stream, index, needed, fed, decoder):
        if frame.pts is None or not fed or frame.pts != heapq.heappop(fed):
            raise IndexDisagrees
        needed.came(frame.pts)
        if frame.pts in wanted_pts:
            if frame.is_corrupt:
                raise IndexDisagrees
            wanted_pts.remove(frame.pts)
            yield frame
        if not wanted_pts:
            return
    raise IndexDisagrees


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    index: PacketIndex,
    needed: NeededPackets,
    fed: list[int],
    decoder: PacketDecoder[F],
) -> Iterator[F]:
    """The frames of the needed packets; ``fed`` gets the stamps of those that are to come."""
    clock = Clock(container, stream) if index.has_jumps else None
    is_at_end = False
    while not is_at_end:
        is_at_end = True
        for packet in packets(container, stream, clock):
            if needed(packet):
                if needed.is_restart:
                    yield from decoder.decode(None)
                    decoder.flush_buffers()
                if is_shown(packet, stream):
                    if packet.pts is None:
                        raise IndexDisagrees
                    heapq.heappush(fed, packet.pts)
                yield from decoder.decode(packet)
            elif (keyframe := needed.far_keyframe(packet)) is not None:
                yield from decoder.decode(None)  # what is held back
                decoder.flush_buffers()
                container.seek(keyframe, stream=stream)
                is_at_end = False
                break
    yield from decoder.decode(None)


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
