"""From a clip to the frames that the model sees, decoded by a GPU: what one of its decoding processes does.

Which frames are wanted, and which packets lead to them, is found out as for FFmpeg, and the frames that come are
matched with those that were announced in the same way. The first picture is decoded by FFmpeg too: it says how all of
them are to be read. Whatever this decoder does not take, or meets with damage, FFmpeg decodes, here and as ever.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.bits import Malformed
from framescribe.video.colour import FORMATS, colour_of
from framescribe.video.container import video_stream
from framescribe.video.decode import Allocator, decode_frames, from_start
from framescribe.video.disposable import READERS
from framescribe.video.nvdec.cuda import CudaError
from framescribe.video.nvdec.decoder import Damaged, Unfit
from framescribe.video.packets import TooManyPackets, index_packets
from framescribe.video.plan import chooser, chosen, plan_of, probe_of
from framescribe.video.reading import IndexDisagrees, announced
from framescribe.video.source import open_source
from framescribe.yuv import Yuv

Lend = Callable[[int], bytes]

_MOST_BYTES = 400_000_000
"""That the pictures of a clip may take of the GPU's memory: 24 of them in 4K."""

log = logging.getLogger("framescribe")


class HardwareRun(Protocol):
    """See ``nvdec.decoder.Run``."""

    def feed(self, payload: bytes, pts: int) -> list[int]: ...

    def finish(self) -> list[int]: ...

    def close(self) -> None: ...


class Hardware(Protocol):
    """See ``nvdec.decoder.Nvdec``."""

    def takes(self, codec: str, width: int, height: int) -> bool: ...

    def memory(self, size: int, lend: Lend) -> int: ...

    def run(self, codec: str, size: tuple[int, int], targets: Mapping[int, int]) -> HardwareRun: ...


class HardwareName(Protocol):
    """Names a decoder to another process."""

    def opened(self) -> Hardware:
        """The decoder: one for all clips of a process."""

    def has_failed(self) -> bool:
        """Whether it can do nothing more in this process, as after an error of the GPU that stays."""


def decode_on(
    clip: Clip, sampling: FrameSampling, name: HardwareName, allocate: Allocator, lend: Lend
) -> Frames:
    """As ``decode_frames``, by a GPU's decoder where that can.

    Args:
        clip, sampling, allocate: as for ``decode_frames``.
        name: of the decoder.
        lend: gives the handle of memory for so many bytes of pictures.

    Returns:
        Frames whose pictures are in the memory that was lent; or as ``decode_frames`` gives them.

    Raises:
        ClipError: as ``decode_frames``.
        SystemExit: the decoder can do nothing more in this process.
    """
    with open_source(clip) as file:
        try:
            return _decoded(clip, file, sampling, name, lend)
        except MemoryError:
            raise  # FFmpeg's is one of its errors
        except (
            Unfit, Damaged, Malformed, CudaError, IndexDisagrees, TooManyPackets, av.FFmpegError, OSError,
        ) as error:  # fmt: skip
            log.debug("%s: not decoded by the GPU: %r", clip.source_video, error)
            if isinstance(error, CudaError) and name.has_failed():
                raise SystemExit("the GPU fails this process") from error  # the next one may have better luck
        return decode_frames(dataclasses.replace(clip, data=file), sampling, allocate, max_threads=1)


def _decoded(clip: Clip, file: IO[bytes], sampling: FrameSampling, name: HardwareName, lend: Lend) -> Frames:
    with video_stream(file, clip) as opened:
        context = opened[1].codec_context
        codec, size = context.codec.canonical_name, (context.width, context.height)
        if context.pix_fmt not in FORMATS or size[0] % 2 or size[1] % 2:
            raise Unfit("no 8-bit 4:2:0 pictures of even size")
        hardware = name.opened()
        if not hardware.takes(codec, *size):
            raise Unfit(f"{codec} of {size[0]}x{size[1]} is not for this card")
        index = index_packets(*opened)
        if not index.is_reliable:
            raise IndexDisagrees
        with from_start(file, clip, opened, index) as (container, stream):
            timeline = index.timeline(index.pts)
            plan = plan_of(clip, chooser(sampling), index, timeline, index.pts, stream)
            bytes_each = size[0] * size[1] * 3 // 2
            if len(plan.numbers) * bytes_each > _MOST_BYTES:
                raise Unfit("pictures that take too much of the GPU's memory")
            address = hardware.memory(len(plan.numbers) * bytes_each, lend)
            targets = {
                pts: address + place * bytes_each
                for place, pts in enumerate(index.pts[plan.numbers].tolist())
            }
            decoder = _HardwareDecoder(stream, codec, partial(hardware.run, codec, size, targets))
            try:
                for _ in announced(container, stream, index, plan.numbers, decoder):
                    pass
            finally:
                decoder.close()
    first = decoder.first
    if first is None or first.format.name not in FORMATS or (first.width, first.height) != size:
        raise Unfit("pictures that differ from what the file says")
    turns = round(first.rotation / 90)
    yuv = Yuv(None, size, colour_of(first), turns, tuple(plan.slots.tolist()))
    seen = probe_of(plan, *(size if turns % 2 == 0 else size[::-1]), turns)
    frames = chosen(seen, plan.selection, np.empty((0, 3, 0, 0), np.uint8))
    return dataclasses.replace(frames, decoder="gpu", yuv=yuv)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture that was shown; damage is raised."""

    pts: int
    is_corrupt: bool = False


class _HardwareDecoder:
    """A ``PacketDecoder`` for packets as a container has them."""

    def __init__(
        self,
        stream: VideoStream,
        codec: str,
        start: Callable[[], HardwareRun],
    ) -> None:
        self._start = start
        self._codec = codec
        self._parameters: set[bytes] = set()
        self._run: HardwareRun | None = None
        self._filter = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        self._software = stream.codec_context
        self._software.thread_count = 1
        self._has_begun = False
        self.first: VideoFrame | None = None

    def decode(self, packet: Packet[VideoStream] | None) -> list[_Picture]:
        if not self._has_begun and packet is not None:
            self._has_begun = True
            self.first = next(iter((*self._software.decode(packet), *self._software.decode(None))), None)
        self._run = run = self._run or self._start()
        shown: list[int] = []
        for each in self._filter.filter(packet):
            payload = bytes(each)
            self._check(payload)
            shown += run.feed(payload, each.pts or 0)
        if packet is None:
            shown += run.finish()
        return [_Picture(pts) for pts in shown]

    def _check(self, payload: bytes) -> None:
        """All pictures are read as the first one is: what says how must stay the same."""
        self._parameters |= READERS[self._codec].sequence_parameters(payload)
        if len(self._parameters) > 1:
            raise Unfit("pictures that are not all alike")
        if READERS[self._codec].has_film_grain(payload):
            raise Unfit("film grain")  # which FFmpeg adds, and this decoder does not

    def flush_buffers(self) -> None:
        self.close()  # a parser does not go on behind the end of its stream
        self._filter.flush()

    def close(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.close()
