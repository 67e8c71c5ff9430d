"""NVIDIA's decoder on one GPU: packets in, the wanted pictures as NV12 in device memory out.

The driver's parser says in callbacks what to decode and when it is shown; only wanted pictures are given out. The
decoders that were made are kept for later clips of their size, as making one takes longer than decoding some clips.
Setting one to another size is not done: the driver (580) then gives out some pictures in memory of the size before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import byref, c_int, c_uint, c_uint64, c_void_p, pointer
from typing import Any

from framescribe.video.nvdec import cuvid
from framescribe.video.nvdec.cuda import Cuda, Library

_DISPLAY_DELAY = 4
"""So many pictures are decoded before one is waited for."""

_OUTPUT_SURFACES = 8
"""So many pictures are given out at a time."""

_KEPT_BYTES = 100_000_000
"""Of the pictures that all kept decoders hold: one of 1080p and one of 720p, or many small ones."""

_LENT_STEP = 32 << 20
"""So that it need not grow for each clip that is a little larger."""


_Kind = tuple[int, int, int]  # codec, width, height


class Unfit(Exception):
    """The stream is one that this decoder does not take, or not exactly as FFmpeg does."""


class Damaged(Exception):
    """The decoder met damage."""


class Nvdec:
    """The decoder of one GPU, for one clip at a time. For one thread.

    Args:
        device: number of the GPU.

    Raises:
        OSError: there is no driver with a decoder.
        CudaError: the GPU cannot be used.
    """

    def __init__(self, device: int) -> None:
        self.call = Library("libnvcuvid.so.1")
        self.cuda = Cuda(device, is_patient=True)
        self.cuda.make_current()
        self.handle = c_void_p()
        self._made: dict[_Kind, tuple[c_void_p, int]] = {}  # the one that was used last is the last
        self._lent, self._lent_bytes = 0, 0

    def takes(self, codec: str, width: int, height: int) -> bool:
        """Whether the card decodes 8-bit 4:2:0 pictures of this codec and size."""
        if codec not in cuvid.CODECS:
            return False
        caps = cuvid.DecodeCaps(codec=cuvid.CODECS[codec], chroma_format=cuvid.CHROMA_420)
        self.call("cuvidGetDecoderCaps", byref(caps))
        return bool(
            caps.is_supported
            and caps.min_width <= width <= caps.max_width
            and caps.min_height <= height <= caps.max_height
            and width * height <= 256 * caps.max_macroblocks
        )

    def memory(self, size: int, lend: Callable[[int], bytes]) -> int:
        """The address of memory for ``size`` bytes of pictures, which another process lends.

        Raises:
            Unfit: there is no room for them.
        """
        if size > self._lent_bytes:
            if self._lent_bytes:
                self.cuda.close(self._lent)  # before its owner frees it
                self._lent_bytes = 0
            size = -(-size // _LENT_STEP) * _LENT_STEP
            if not (handle := lend(size)):
                raise Unfit("no memory for its pictures")
            self._lent, self._lent_bytes = self.cuda.open(handle), size
        return self._lent

    def run(self, codec: str, size: tuple[int, int], targets: Mapping[int, int]) -> Run:
        """Decodes packets from a keyframe on.

        Args:
            codec: ``h264`` or ``hevc``.
            size: width and height that the pictures must have.
            targets: for each wanted time stamp the address that its picture is written to as NV12, uint8
                [3/2 height, width].
        """
        return Run(self, codec, size, targets)

    def set(self, format: cuvid.VideoFormat) -> int:
        """Makes a decoder ready for a sequence; returns how many pictures it holds."""
        kind = int(format.codec), int(format.coded_width), int(format.coded_height)
        needed = format.min_decode_surfaces + _DISPLAY_DELAY
        handle, surfaces = self._made.pop(kind, (c_void_p(), 0))
        if surfaces < needed:
            if handle:
                self.call("cuvidDestroyDecoder", handle)
            surfaces = max(needed, 12)
            self._make_room(kind, surfaces)
            handle = self._new(kind, surfaces)
        self._made[kind] = handle, surfaces
        self.handle = handle
        return surfaces

    def _make_room(self, kind: _Kind, surfaces: int) -> None:
        while self._made:
            held = (*((made, count) for made, (_, count) in self._made.items()), (kind, surfaces))
            if sum(w * h * 3 // 2 * count for (_, w, h), count in held) <= _KEPT_BYTES:
                return
            handle, _ = self._made.pop(next(iter(self._made)))
            self.call("cuvidDestroyDecoder", handle)

    def _new(self, kind: _Kind, surfaces: int) -> c_void_p:
        codec, width, height = kind
        info = cuvid.CreateInfo(
            width=width,
            height=height,
            num_decode_surfaces=surfaces,
            codec=codec,
            chroma_format=cuvid.CHROMA_420,
            creation_flags=cuvid.PREFER_CUVID,
            max_width=width,
            max_height=height,
            output_format=cuvid.NV12,
            deinterlace_mode=cuvid.WEAVE,
            target_width=width,
            target_height=height,
            num_output_surfaces=_OUTPUT_SURFACES,
        )
        handle = c_void_p()
        self.call("cuvidCreateDecoder", byref(handle), byref(info))
        return handle


class Run:
    """One run of the parser, from a keyframe on; see ``Nvdec.run``."""

    def __init__(self, decoder: Nvdec, codec: str, size: tuple[int, int], targets: Mapping[int, int]) -> None:
        self._decoder = decoder
        self._size = size
        self._targets = targets
        self._shown: list[int] = []
        self._mapped: list[c_uint64] = []  # pictures that are given out until they are copied
        self._unchecked: set[int] = set()  # pictures that were decoded last into their places
        self._error: BaseException | None = None
        self._row_offset = 0
        # The parser calls these as long as it lives.
        self._callbacks = (
            cuvid.SequenceCallback(self._guarded(self._on_sequence)),
            cuvid.DecodeCallback(self._guarded(self._on_decode)),
            cuvid.DisplayCallback(self._guarded(self._on_display)),
        )
        params = cuvid.ParserParams(
            codec=cuvid.CODECS[codec],
            max_decode_surfaces=1,  # until the sequence is known
            max_display_delay=_DISPLAY_DELAY,
            on_sequence=self._callbacks[0],
            on_decode=self._callbacks[1],
            on_display=self._callbacks[2],
        )
        self._parser = c_void_p()
        decoder.call("cuvidCreateVideoParser", byref(self._parser), byref(params))

    def feed(self, payload: bytes, pts: int) -> list[int]:
        """Decodes the packet of a picture.

        Args:
            payload: in the form of H.264's and HEVC's Annex B, parameter sets included.
            pts: its time stamp.

        Returns:
            The time stamps of pictures that are shown next.

        Raises:
            Unfit, Damaged: as they say.
            CudaError: the decoder failed.
        """
        flags = cuvid.TIMESTAMP | cuvid.END_OF_PICTURE
        return self._parse(cuvid.SourcePacket(flags, len(payload), payload, pts))

    def finish(self) -> list[int]:
        """What is held back; as ``feed``."""
        return self._parse(cuvid.SourcePacket(cuvid.END_OF_STREAM, 0, None, 0))

    def close(self) -> None:
        """Ends the run: only then are all wanted pictures that were shown where they belong.

        Raises:
            Damaged: a picture was, whether it was wanted or others refer to it.
        """
        try:
            self._unmap()
        finally:
            parser, self._parser = self._parser, c_void_p()
            if parser:
                self._decoder.call("cuvidDestroyVideoParser", parser)
        for index in tuple(self._unchecked):
            self._check(index)

    def _parse(self, packet: cuvid.SourcePacket) -> list[int]:
        try:
            self._decoder.call("cuvidParseVideoData", self._parser, pointer(packet))
        finally:
            if self._error is not None:
                raise self._error
        shown, self._shown = self._shown, []
        return shown

    def _guarded(self, callback: Callable[[Any], int]) -> Callable[[Any, Any], int]:
        """An exception cannot pass through the parser: it is kept, and raised when the parser returns."""

        def call(_: Any, argument: Any) -> int:
            try:
                return callback(argument)
            except BaseException as error:  # noqa: BLE001 - raised by `_parse`
                self._error = error
                return 0

        return call

    def _on_sequence(self, argument: Any) -> int:
        format = argument.contents
        area = format.display_area
        if (format.chroma_format, format.luma_bits_minus_8, format.chroma_bits_minus_8) != (1, 0, 0):
            raise Unfit("no 8-bit 4:2:0 pictures")
        if not format.is_progressive:
            raise Unfit("interlaced")
        if (area.left, area.top, area.right, area.bottom) != (0, 0, *self._size):
            raise Unfit("pictures of another size")
        self._row_offset = format.coded_height + 1 & ~1
        self._unmap()  # of a decoder that may go
        return self._decoder.set(format)

    def _on_decode(self, argument: Any) -> int:
        index = argument.contents.index
        if index in self._unchecked:
            self._check(index)
        self._decoder.call("cuvidDecodePicture", self._decoder.handle, argument)
        self._unchecked.add(index)
        return 1

    def _check(self, index: int) -> None:
        """Whether what was decoded into a place is whole; it is done by now."""
        status = cuvid.DecodeStatus()
        self._decoder.call("cuvidGetDecodeStatus", self._decoder.handle, c_int(index), byref(status))
        self._unchecked.discard(index)
        if status.status not in (cuvid.IN_PROGRESS, cuvid.SUCCESS):
            raise Damaged(f"decoding status {status.status}")

    def _on_display(self, argument: Any) -> int:
        if not argument:
            return 1
        shown = argument.contents
        target = self._targets.get(shown.timestamp)
        if target is not None:
            self._write(shown, target)
        self._shown.append(shown.timestamp)
        return 1

    def _write(self, shown: cuvid.DisplayInfo, target: int) -> None:
        decoder, (width, height) = self._decoder, self._size
        params = cuvid.ProcessingParams(
            is_progressive=shown.is_progressive,
            second_field=shown.repeat_first_field + 1,
            top_field_first=shown.top_field_first,
            unpaired_field=shown.repeat_first_field < 0,
        )
        if len(self._mapped) == _OUTPUT_SURFACES:
            self._unmap()
        source, pitch = c_uint64(), c_uint()
        given_out = byref(source), byref(pitch), byref(params)
        decoder.call("cuvidMapVideoFrame64", decoder.handle, c_int(shown.index), *given_out)
        self._mapped.append(source)
        if shown.index in self._unchecked:
            self._check(shown.index)
        rows = pitch.value * self._row_offset
        decoder.cuda.copy_rows(source.value, pitch.value, target, width, height)
        decoder.cuda.copy_rows(source.value + rows, pitch.value, target + width * height, width, height // 2)

    def _unmap(self) -> None:
        """Waits until the pictures that were given out are copied: for several at once, as beside a model's work each
        wait is long.
        """
        if self._mapped:
            self._decoder.cuda.synchronize()
        while self._mapped:
            self._decoder.call("cuvidUnmapVideoFrame64", self._decoder.handle, self._mapped.pop())
