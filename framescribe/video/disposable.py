"""Which packets of a stream nothing else depends on: those of pictures that no other refers to.

Without such a picture a decoder gives the others bit for bit as with it. Nothing is known to be disposable of a codec
that is not in ``READERS``, and after a packet that does not read as its codec says.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from framescribe.video.bits import Malformed
from framescribe.video.nal_units import H264, Hevc


class _Reader(Protocol):
    def is_disposable(self, packet: memoryview) -> bool: ...
    def is_gradual(self, packet: memoryview) -> bool: ...


READERS = {"h264": H264, "hevc": Hevc}


class DisposablePackets:
    """Says which packets of a stream nothing else depends on.

    Args:
        codec: FFmpeg's canonical name of the stream's codec.
        extradata: what the container holds of the stream's start; it says how packets are divided.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._reader: _Reader | None = None
        if codec in READERS:
            with contextlib.suppress(Malformed):
                self._reader = READERS[codec](extradata or b"")

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

    def is_gradual(self, packet: memoryview) -> bool:
        """Whether decoding that starts with a keyframe's packet gives whole pictures only some pictures later."""
        with contextlib.suppress(Malformed):
            return self._reader is not None and self._reader.is_gradual(packet)
        return False
