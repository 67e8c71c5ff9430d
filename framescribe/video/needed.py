"""Which packets lead to the wanted frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from framescribe.video.disposable import DisposablePackets
from framescribe.video.timeline import PacketIndex

_SEEK_PACKETS = 24
"""About as many packets are read in the time that a seek takes."""


class NeededPackets:
    """Chooses the packets of a stream that are decoded.

    They are those from a keyframe to the last wanted frame that depends on it, without the disposable ones. As a
    container may stamp packets in another order than they are shown in, each keyframe is followed by everything until a
    disposable picture has come in its place, and by what is needed until the last wanted frame has.

    Args:
        stream: what the packets belong to.
        index: what the container says of it.
        wanted: numbers of the wanted frames.
        may_leave_out: whether the container stamps every frame; elsewhere every packet is decoded.

    Attributes:
        is_restart: the last packet asked about is a keyframe before which something was left out that others refer to.
            A decoder has to give what it holds back, and to forget the rest, before it gets the packet.
    """

    def __init__(
        self, stream: VideoStream, index: PacketIndex, wanted: Sequence[int], may_leave_out: bool
    ) -> None:
        context = stream.codec_context
        self._is_disposable = DisposablePackets(context.codec.canonical_name, context.extradata)
        self._index, self._may_leave_out = index, may_leave_out
        pts = index.pts[list(wanted)]
        keyframes = index.keyframe_pts[np.searchsorted(index.keyframe_pts, pts, "right") - 1]
        self._ahead: dict[int, set[int]] = {}  # the wanted stamps behind each keyframe that has not come yet
        for keyframe, stamp in zip(keyframes.tolist(), pts.tolist(), strict=True):
            self._ahead.setdefault(keyframe, set()).add(stamp)
        self._sought: int | None = None
        self._open: set[int] = set()  # the wanted stamps behind the keyframes that have come
        self._first_pts = -(1 << 63)
        self._is_interrupted = False
        self._trial: set[int] | None = (
            set()
        )  # stamps of disposable pictures that are decoded to see them come
        self.is_restart = False

    def __call__(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet leads to a wanted frame; to be asked of every packet, as they are read."""
        if not self._may_leave_out or packet.pts is None:
            return True
        if packet.has_sidedata("new_extradata"):
            self._is_disposable = DisposablePackets("", None)  # what follows is divided in some other way
        is_disposable = self._is_disposable(memoryview(packet))
        self.is_restart = False
        if packet.is_keyframe and packet.pts in self._ahead:
            self._open |= self._ahead.pop(packet.pts)
            self._trial = set()
            if self._is_interrupted:
                self._is_interrupted, self.is_restart, self._first_pts = False, True, packet.pts
        # Shown before the keyframe with which decoding began anew: what it refers to is not there.
        is_leading = packet.pts < self._first_pts
        if not self._open or is_leading:
            self._is_interrupted = self._is_interrupted or not (is_disposable or is_leading)
            return False
        if is_disposable and self._trial is not None:
            self._trial.add(packet.pts)
            return True
        return not is_disposable or packet.pts in self._open

    def came(self, pts: int) -> None:
        """A frame has come in its place."""
        self._open.discard(pts)
        if self._trial is not None and pts in self._trial:
            self._trial = None

    def far_keyframe(self, packet: Packet[VideoStream]) -> int | None:
        """Stamp of the keyframe with which decoding goes on, if it is so far that seeking is worth it; said once."""
        if self._open or not self._ahead or packet.pts is None:
            return None
        keyframe = next(iter(self._ahead))
        here, there = np.searchsorted(self._index.pts, (packet.pts, keyframe)).tolist()
        if keyframe == self._sought or there - here <= _SEEK_PACKETS:
            return None
        self._sought, self._is_interrupted = keyframe, True
        return keyframe
