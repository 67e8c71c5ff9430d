"""Spans of a video to files of their own, as like the video as H.264 can be."""

from __future__ import annotations

import dataclasses
import math
import os
import struct
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framescribe.types import Clip
from framescribe.video.address import without_query
from framescribe.video.decode import ShownFrame
from framescribe.video.mp4 import TURNS, Filters, encoded, new_mp4
from framescribe.video.plan import Probe
from framescribe.video.sound import Sound
from framescribe.video.spans import Cut, Output, write_spans
from framescribe.video.timeline import HELD_AFTER_S

_TIME_BASE = Fraction(1, 90_000)
_CRF = 16


def cut_path(folder: Path, clip: Clip, span: tuple[float, float]) -> Path:
    """The file in ``folder`` for a span of a clip: the video's name, the span in milliseconds, the span's id."""
    whole = dataclasses.replace(clip, start_s=span[0], end_s=span[1], given_id=None)
    start_ms, end_ms = (round(seconds * 1000) for seconds in span)
    # The name is for people; the id keeps videos of one name apart. Cut in bytes, as file systems count them.
    name = os.fsencode(Path(without_query(clip.source_video)).stem)[:100].decode("utf-8", "ignore")
    return folder / f"{name}-{start_ms:08d}-{end_ms:08d}-{whole.id[:8]}.mp4"


def writing_clips(
    clip: Clip, spans: Mapping[Path, tuple[float, float]], keep_sound: bool = True
) -> Generator[None, None, dict[Path, str]]:
    """Write spans of a clip's video to files of their own, in one reading; yields as it goes on.

    H.264 (x264, CRF 16) in MP4, encoded anew, since copying can only start at keyframes. Frames keep their times, and a
    picture that is held, at the start or the end of a span too, its duration (one that is held at the end comes once
    more there, for readers that look at frames only). Kept as they are: 8 or 10 bits, the sampling of colours, range,
    matrix, primaries and transfer, HDR10's light levels, the shape of pixels. Sound is encoded anew as AAC, mono or
    stereo. What is turned when it is displayed is stored turned; an odd last row or column
    is cut off where colours are sampled in pairs; RGB becomes yuv420p; more than 10 bits become 10; transparency,
    subtitles and metadata are left out. A file of this name is always whole; one whose span holds no frame is not
    written.

    Args:
        clip: whose video is read.
        spans: start and end in seconds from the video's first frame, for each file.
        keep_sound: whether the files have the sound of their spans.

    What it returns and raises is that of ``write_spans``.
    """
    return write_spans(clip, [Cut(path, *span) for path, span in spans.items()], _Exact, keep_sound)


class _Exact(Output):
    """A file whose frames have the times that they have in the video."""

    def __init__(self, cut: Cut, video: Probe, sound_from: IO[bytes] | None) -> None:
        super().__init__(cut, video, sound_from)
        self._rate = Fraction(video.facts.fps).limit_denominator(65535)
        self._before: ShownFrame | None = None  # what is shown when the span starts
        self._shown: tuple[int, VideoFrame] | None = None
        self._durations: dict[int, int] = {}
        self._last_packet: Packet[VideoStream] | None = None
        self._first_dts: int | None = None

    def show(self, shown: ShownFrame | None) -> Iterator[None]:
        at_s = math.inf if shown is None else shown.time_s
        if at_s < self.cut.start_s:
            self._before = shown
            return
        self.is_done = at_s >= self.end_s
        is_held = self.is_done or at_s - self.cut.start_s > HELD_AFTER_S
        if self._shown is None and self._before is not None and is_held:
            self._put(self.cut.start_s, self._before)
        if shown is not None and not self.is_done:
            self._put(at_s, shown)
        elif self._shown is not None:
            yield from self._end()

    def _put(self, time_s: float, shown: ShownFrame) -> None:
        if self._shown is None:
            self._open(shown)
        pts = self._ticks(time_s)
        self._encode_shown(until=pts)
        self._shown = pts, self._upright(shown.frame)

    def _open(self, first: ShownFrame) -> None:
        file = new_mp4(self.cut.path, self._rate, crf=_CRF, params=_light(first.frame))
        self._container, self._stream = self._opened.enter_context(file)
        self._first_s = first.first_s
        self._upright = _Upright(first.frame)
        stream, context, frame = self._stream, self._stream.codec_context, first.frame
        stream.width, stream.height = self._upright.size
        stream.pix_fmt = self._upright.pix_fmt
        context.time_base = _TIME_BASE
        is_turned = self._upright.quarter_turns % 2
        context.sample_aspect_ratio = 1 / first.pixel_aspect if is_turned else first.pixel_aspect
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        self._sound = None if self._sound_from is None else Sound(self._sound_from, self._container)

    def _end(self) -> Iterator[None]:
        """The last frame is shown until the span ends; then the sound, and the file is whole."""
        assert self._shown is not None
        end = self._ticks(self.end_s)
        again = end - round(1 / self._rate / _TIME_BASE)
        if again - self._shown[0] > HELD_AFTER_S / _TIME_BASE:
            self._encode_shown(until=again)  # once more, for readers that look at frames only
            self._shown = again, self._shown[1]
        self._encode_shown(until=end)
        self._mux(self._stream.encode(None))
        if (packet := self._last_packet) is not None and packet.dts is not None:
            # The last to be decoded, not to be shown: its duration ends the stream.
            packet.duration = max(1, end - packet.dts + min(0, self._first_dts or 0))
            self._container.mux(packet)
        yield
        if self._sound is not None:
            self._sound.write(self._first_s + self.cut.start_s, self.end_s - self.cut.start_s)
        self._opened.close()

    def _ticks(self, time_s: float) -> int:
        return round(Fraction(time_s - self.cut.start_s) / _TIME_BASE)

    def _encode_shown(self, until: int) -> None:
        if self._shown is not None:
            pts, picture = self._shown
            self._durations[pts] = max(1, until - pts)
            self._mux(encoded(self._stream, picture, pts))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._first_dts = packet.dts if self._first_dts is None else self._first_dts
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
            if self._last_packet is not None:
                self._container.mux(self._last_packet)
            self._last_packet = packet


class _Upright(Filters):
    """Decoded frames to what is encoded: upright, of the first one's size, in a format that H.264 has."""

    def __init__(self, first: VideoFrame) -> None:
        super().__init__()
        self.pix_fmt = _pix_fmt(first)
        self.quarter_turns = round(first.rotation / 90) % 4
        self._stored = first.width, first.height
        width, height = self._stored[::-1] if self.quarter_turns % 2 else self._stored
        self.size = width - width % 2, height - height % 2

    def steps(self, frame: VideoFrame) -> list[str]:
        steps = [f"format={self.pix_fmt}", *TURNS[self.quarter_turns]]
        if (frame.width, frame.height) != self._stored:
            steps.insert(0, f"scale={self._stored[0]}:{self._stored[1]}")
        return [*steps, f"crop={self.size[0]}:{self.size[1]}:0:0:exact=1"]


def _pix_fmt(frame: VideoFrame) -> str:
    """The format of H.264 that is nearest to a frame's."""
    source = frame.format
    if source.is_rgb or source.name.startswith(("pal", "bgr", "rgb", "gbr")):
        return "yuv420p"
    # Only where it is sampled less.
    chroma = [component for component in source.components if component.is_chroma]
    if chroma:
        sampling = "422" if chroma[0].height == frame.height else "420"
    else:
        sampling = "420" if len(source.components) < 3 else "444"
    is_deep = source.components[0].bits > 8
    full = "j" if source.name.startswith("yuvj") else ""
    return f"yuv{full}{sampling}p{'10le' if is_deep else ''}"


def _light(frame: VideoFrame) -> list[str]:
    """Parameters of x264 for what a frame says of HDR10: of its mastering display, and of its light.

    Source: AVMasteringDisplayMetadata and AVContentLightMetadata of FFmpeg's libavutil; units of SMPTE ST 2086
    (1/50,000 in chromaticity, 1/10,000 cd/m²).
    """
    found: list[str] = []
    side_data: Any = frame.side_data  # typed as if its keys were text
    mastering = side_data.get(Type.MASTERING_DISPLAY_METADATA)
    if mastering is not None and len(content := bytes(mastering)) == struct.calcsize("=22i"):
        *numbers, has_primaries, has_luminance = struct.unpack("=22i", content)
        if has_primaries and has_luminance and 0 not in numbers[1::2]:
            values = [a / b for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            rx, ry, gx, gy, bx, by, wx, wy = (round(value * 50_000) for value in values[:8])
            darkest, brightest = (round(value * 10_000) for value in values[8:])
            found.append(
                f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({brightest},{darkest})"
            )
    light = side_data.get(Type.CONTENT_LIGHT_LEVEL)
    if light is not None and len(content := bytes(light)) == struct.calcsize("=2I"):
        brightest, average = struct.unpack("=2I", content)
        found.append(f"cll={brightest},{average}")
    return found
