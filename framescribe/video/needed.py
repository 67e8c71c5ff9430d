"""Which packets lead to the wanted frames: not those of a picture that is neither wanted nor referred to.

Without such a picture a decoder gives the others bit for bit as with it. What is not known to be disposable is needed:
all of a codec that is not in ``_READERS``, and all that comes after a packet that does not read as its codec says.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from framescribe.video.bits import Malformed
from framescribe.video.nal_units import H264, Hevc


class _Reader(Protocol):
    def is_disposable(self, packet: memoryview) -> bool: ...


_READERS = {"h264": H264, "hevc": Hevc}


class DisposablePackets:
    """Says which packets of a stream nothing else depends on.

    Args:
        codec: FFmpeg's canonical name of the stream's codec.
        extradata: what the container holds of the stream's start; it says how packets are divided.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._reader: _Reader | None = None
        if codec in _READERS:
            with contextlib.suppress(Malformed):
                self._reader = _READERS[codec](extradata or b"")

    def __call__(self, packet: memoryview) -> bool:
        """Whether the packet can be left out, if its frame is not wanted.

        To be asked of every packet that is read, in decoding order: what later ones mean may depend on it.
        """
        if self._reader is None:
            return False
        try:
            return self._reader.is_disposable(packet)
        except Malformed:
            self._reader = None  # damage, of which everything is decoded, or pictures that may be fields
            return False


class NeededPackets:
    """Chooses the packets of a stream that are decoded.

    Args:
        stream: what they belong to.
        wanted_pts: stamps of the wanted frames.

    Attributes:
        left_out_pts: stamps of the frames that do not come, as their packets were not needed.
    """

    def __init__(self, stream: VideoStream, wanted_pts: set[int]) -> None:
        context = stream.codec_context
        self._is_disposable = DisposablePackets(context.codec.canonical_name, context.extradata)
        self._wanted_pts = wanted_pts
        self.left_out_pts: set[int] = set()

    def __call__(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet leads to a wanted frame; to be asked of every packet, as they are read."""
        if packet.has_sidedata("new_extradata"):
            self._is_disposable = DisposablePackets("", None)  # what follows is divided in some other way
        is_disposable = self._is_disposable(memoryview(packet))
        if not is_disposable or packet.pts is None or packet.pts in self._wanted_pts:
            return True
        if not packet.is_discard:
            self.left_out_pts.add(packet.pts)
        return False
