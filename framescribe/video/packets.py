"""A container's packets, read without decoding them: when each frame is shown, and where decoding can start."""

from __future__ import annotations

import re
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framescribe.video.timeline import PacketIndex

SEEKABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Where seeking to a timestamp finds that frame. In MPEG-TS it silently finds others."""

_HEADER_TELLS_DURATION = SEEKABLE_FORMATS | {"avi"}
"""Elsewhere a duration is FFmpeg's estimate, not a promise of the file."""


def index_packets(container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Read every packet of the stream, decode none."""
    shown: list[tuple[int, int]] = []  # pts and duration
    keyframe_pts: list[int] = []
    num_packets = 0
    is_reliable = True
    for packet in packets(container, stream):
        num_packets += 1
        if packet.pts is None or packet.is_corrupt:
            is_reliable = False
        if packet.pts is None:
            continue
        if packet.is_keyframe:
            keyframe_pts.append(packet.pts)
        if _is_shown(packet, stream):
            shown.append((packet.pts, packet.duration or 0))
    shown.sort()
    keyframe_pts.sort()
    pts, durations = np.array(shown, np.int64).reshape(-1, 2).T
    if len(shown) == 0 or np.any(np.diff(pts) == 0) or not keyframe_pts or keyframe_pts[0] > pts[0]:
        is_reliable = False
    time_base_s = float(stream.time_base or 0) or 1e-6
    return PacketIndex(
        pts=pts,
        durations=durations,
        keyframe_pts=np.array(keyframe_pts, np.int64),
        time_base_s=time_base_s,
        average_fps=float(stream.average_rate or stream.guessed_rate or 0) or _mean_rate(pts, time_base_s),
        promised_end_pts=None if num_packets >= stream.frames > 0 else _promised_end_pts(container, stream),
        is_reliable=is_reliable,
    )


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream as far as they can be read."""
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size > 0:  # empty: the end, or in AVI a picture that does not change
                    yield packet
        except IndexError:  # PyAV may stumble over a stream that appears midway (MPEG-TS); read on after it
            continue
        except av.FFmpegError:
            return
        return


def _is_shown(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Whether a frame comes of a packet: an edit list may drop it, and VP8 stores hidden reference frames."""
    if packet.is_discard:
        return False
    if stream.codec_context.codec.canonical_name == "vp8":
        return bool(memoryview(packet)[0] & 0x10)  # the show_frame bit, RFC 6386 section 9.1
    return True


def _mean_rate(pts: NDArray[np.int64], time_base_s: float) -> float:
    if len(pts) < 2 or pts[-1] == pts[0]:
        return 25.0  # as FFmpeg assumes where nothing is said
    return (len(pts) - 1) / (float(pts[-1] - pts[0]) * time_base_s)


def _promised_end_pts(container: InputContainer, stream: VideoStream) -> int | None:
    if container.format.name not in _HEADER_TELLS_DURATION or not stream.time_base:
        return None
    if stream.duration is not None:
        return (stream.start_time or 0) + stream.duration
    # Matroska has one duration for the file, maybe the sound's; FFmpeg and mkvmerge tag each stream.
    tag = stream.metadata.get("DURATION") or stream.metadata.get("DURATION-eng")
    if tag is not None and (clock := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tag)):
        hours, minutes, seconds = map(float, clock.groups())
        return round((hours * 3600 + minutes * 60 + seconds) / stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return round(container.duration / av.time_base / stream.time_base)
    return None
