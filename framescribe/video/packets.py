"""A container's packets, read without decoding them: when each frame is shown, and where decoding can start."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.video.disposable import DisposablePackets
from framescribe.video.timeline import PacketIndex

SEEKABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Where seeking to a timestamp finds that frame. In MPEG-TS it silently finds others."""

_HEADER_TELLS_DURATION = SEEKABLE_FORMATS | {"avi"}
"""Elsewhere a duration is FFmpeg's estimate, not a promise of the file."""

_FIELD_FORMATS = {"mpegts", "mpeg"}
"""Where the two fields of a picture may come in packets of their own."""


_JUMP_AHEAD_S = 10.0
"""In formats whose clock may jump, a longer step is a jump and no picture that is held; FFmpeg has it so too."""


MAX_PACKETS = 10_000_000
"""Two days at 50 frames a second; each takes memory before anything is decoded."""


class TooManyPackets(Exception):
    def __str__(self) -> str:
        return f"it has more than {MAX_PACKETS:,} packets; cut it into parts first"


class Clock:
    """One clock for all packets of a stream, also where recordings were joined and their stamps start anew.

    What comes after a jump is shown when what came before it is over.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._may_jump = bool(container.format.flags & Flags.ts_discont.value)  # type: ignore[operator]  # numbers both
        self._longest_step = _JUMP_AHEAD_S / _time_base_s(stream)
        self._frame_units = max(1, round(1 / (_stated_fps(stream) or 25.0) / _time_base_s(stream)))
        self._offset = 0
        self._last_dts: int | None = None
        self._last_pts = -(1 << 62)  # the largest so far, on the one clock
        self._end = 0
        self.has_jumped = False

    def set(self, packet: Packet[VideoStream]) -> None:
        """Puts a packet's stamps on the one clock. Packets come in the order in which they are stored."""
        pts, dts = packet.pts, packet.dts
        if not packet.is_discard and self._jumps(packet):
            self._offset = self._end - (pts if pts is not None else dts or 0)
            self.has_jumped = True
        if dts is not None:
            self._last_dts = dts
            packet.dts = dts + self._offset
        if pts is not None:
            packet.pts = pts + self._offset
            if not packet.is_discard:
                self._last_pts = max(self._last_pts, packet.pts)
                self._end = max(self._end, packet.pts + (packet.duration or self._frame_units))

    def _jumps(self, packet: Packet[VideoStream]) -> bool:
        pts, dts = packet.pts, packet.dts
        if self._may_jump and dts is not None and self._last_dts is not None:
            return not 0 <= dts - self._last_dts <= self._longest_step
        # Elsewhere: decoding starts at a keyframe that would be shown before what was decoded before it.
        is_back = dts is None or self._last_dts is None or dts < self._last_dts
        return packet.is_keyframe and is_back and pts is not None and pts + self._offset < self._last_pts


def index_packets(container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Read every packet of the stream, decode none.

    Raises:
        TooManyPackets: there are more than ``MAX_PACKETS``.
    """
    shown = array("q")  # pts, duration and size, in turn
    keyframe_pts, disposable_pts = array("q"), array("q")
    num_packets = 0
    first_dts: int | None = None
    is_reliable = True
    clock = Clock(container, stream)
    codec = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    keyframes_reader, is_disposable = DisposablePackets(*codec), DisposablePackets(*codec)
    for packet in packets(container, stream, clock):
        num_packets += 1
        if num_packets > MAX_PACKETS:
            raise TooManyPackets
        first_dts = packet.dts if first_dts is None else first_dts
        if packet.pts is None or packet.is_corrupt:
            is_reliable = False
        may_go = is_disposable(memoryview(packet))
        if packet.pts is None:
            continue
        if may_go:
            disposable_pts.append(packet.pts)
        if packet.is_keyframe and not keyframes_reader.is_gradual(memoryview(packet)):
            keyframe_pts.append(packet.pts)
        if is_shown(packet, stream):
            shown.extend((packet.pts, packet.duration or 0, packet.size))
    triples = np.array(shown, np.int64).reshape(-1, 3)
    pts, durations, sizes = triples[np.argsort(triples[:, 0], kind="stable")].T
    keyframes = np.sort(np.array(keyframe_pts, np.int64))
    steps = np.diff(pts)
    time_base_s = _time_base_s(stream)
    average_fps = _stated_fps(stream) or _mean_rate(pts, time_base_s)
    if len(pts) == 0 or np.any(steps == 0) or len(keyframes) == 0 or keyframes[0] > pts[0]:
        is_reliable = False
    elif (
        container.format.name in _FIELD_FORMATS
        and steps.min(initial=1 << 62) < 0.7 / average_fps / time_base_s
    ):
        is_reliable = False  # there a packet may be one field of two
    stated_end_pts = _stated_end_pts(container, stream, first_dts or 0)
    if len(pts) and stated_end_pts is not None and stated_end_pts > pts[-1]:
        # In MP4 a packet's duration is the time until the next is decoded, which may be longer than it is shown.
        durations[-1] = min(durations[-1], stated_end_pts - pts[-1])
    may_lack_some = num_packets < stream.frames or stream.frames <= 0
    return PacketIndex(
        pts=pts,
        durations=durations,
        keyframe_pts=keyframes,
        time_base_s=time_base_s,
        average_fps=average_fps,
        promised_end_pts=stated_end_pts if may_lack_some else None,
        is_reliable=is_reliable,
        has_jumps=clock.has_jumped,
        sizes=sizes,
        disposable_pts=np.array(disposable_pts, np.int64),
    )


def packets(
    container: InputContainer, stream: VideoStream, clock: Clock | None = None
) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream as far as they can be read, on one clock if it is given."""
    try:
        for packet in container.demux(stream):
            if packet.size > 0:  # empty: the end, or in AVI a picture that does not change
                if clock is not None:
                    clock.set(packet)
                yield packet
    except MemoryError:
        raise  # FFmpeg's is one of its errors
    except (av.FFmpegError, IndexError):
        # Behind the last packet PyAV may stumble over a stream that appeared midway (MPEG-TS).
        return


def is_shown(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Whether a frame comes of a packet: an edit list may drop it, and VP8 stores hidden reference frames."""
    if packet.is_discard:
        return False
    if stream.codec_context.codec.canonical_name == "vp8":
        return bool(memoryview(packet)[0] & 0x10)  # the show_frame bit, RFC 6386 section 9.1
    return True


def _time_base_s(stream: VideoStream) -> float:
    return float(stream.time_base or 0) or 1e-6


def _stated_fps(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or 0)


def _mean_rate(pts: NDArray[np.int64], time_base_s: float) -> float:
    if len(pts) < 2 or pts[-1] == pts[0]:
        return 25.0  # as FFmpeg assumes where nothing is said
    return (len(pts) - 1) / (float(pts[-1] - pts[0]) * time_base_s)


def _stated_end_pts(container: InputContainer, stream: VideoStream, first_dts: int) -> int | None:
    if container.format.name not in _HEADER_TELLS_DURATION or not stream.time_base:
        return None
    if stream.duration is not None and container.format.name != "matroska,webm":  # there it is the file's
        # Where decoding starts late, by an edit list or in a fragment, the duration counts from 0 all the same.
        return stream.duration + (0 if first_dts > 0 else stream.start_time or 0)
    # Matroska has one duration for the file, maybe the sound's; FFmpeg and mkvmerge tag each stream.
    tag = stream.metadata.get("DURATION") or stream.metadata.get("DURATION-eng")
    if tag is not None and (clock := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag)):
        hours, minutes, seconds = map(float, clock.groups())
        return round((hours * 3600 + minutes * 60 + seconds) / stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return round(container.duration / av.time_base / stream.time_base)
    return None
