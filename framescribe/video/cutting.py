"""Spans of a video to files of their own, as like the video as H.264 can be."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Generator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framescribe.files import new_file
from framescribe.types import Clip
from framescribe.video.address import without_query
from framescribe.video.decode import ShownFrame, probe, shown_frames
from framescribe.video.hdr import x264_light
from framescribe.video.sound import Sound
from framescribe.video.source import open_source, opened_again
from framescribe.video.timeline import HELD_AFTER_S
from framescribe.video.x264 import x264_options

_TIME_BASE = Fraction(1, 90_000)
_TURNS: dict[int, list[str]] = {0: [], 1: ["transpose=cclock"], 2: ["hflip", "vflip"], 3: ["transpose=clock"]}


def cut_path(folder: Path, clip: Clip, span: tuple[float, float]) -> Path:
    """The file in ``folder`` for a span of a clip: the video's name, the span in milliseconds, the span's id."""
    whole = dataclasses.replace(clip, start_s=span[0], end_s=span[1], given_id=None)
    start_ms, end_ms = (round(seconds * 1000) for seconds in span)
    # The name is for people; the id keeps videos of one name apart. Cut in bytes, as file systems count them.
    name = os.fsencode(Path(without_query(clip.source_video)).stem)[:100].decode("utf-8", "ignore")
    return folder / f"{name}-{start_ms:08d}-{end_ms:08d}-{whole.id[:8]}.mp4"


def write_clips(clip: Clip, spans: Mapping[Path, tuple[float, float]], *, keep_sound: bool = True) -> None:
    """Write spans of a clip's video to files of their own, in one reading.

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
        spans: start and end in seconds from the video's first frame, for each file; ascending, not overlapping.
        keep_sound: whether the files have the sound of their spans.

    Raises:
        ClipError: the video cannot be read.
        OSError: a file cannot be written.
    """
    for _ in writing_clips(clip, spans, keep_sound):
        pass


def writing_clips(
    clip: Clip, spans: Mapping[Path, tuple[float, float]], keep_sound: bool = True
) -> Generator[None, None, None]:
    """As ``write_clips``; yields as it goes on."""
    if not spans:
        return
    with open_source(clip) as file, contextlib.ExitStack() as stack:
        opened = dataclasses.replace(clip, start_s=0.0, end_s=None, data=file)  # fetched once
        video_end_s = probe(opened).facts.duration_s
        sound = stack.enter_context(opened_again(file)) if keep_sound else None
        last = max(end_s for _, end_s in spans.values())
        waiting = [(path, start_s, min(end_s, video_end_s)) for path, (start_s, end_s) in spans.items()]
        frames = shown_frames(dataclasses.replace(opened, start_s=waiting[0][1], end_s=last))
        shown: ShownFrame | None = next(frames, None)
        before: ShownFrame | None = None  # what is shown when a span starts
        for path, start_s, end_s in waiting:
            with contextlib.ExitStack() as writing:
                output: _Output | None = None
                if before is not None and start_s < end_s and _is_held(shown, start_s, end_s):
                    output = writing.enter_context(_Output.new(path, start_s, before, sound))
                    output.show(start_s, before.frame)
                while shown is not None and shown.time_s < end_s:
                    if shown.time_s >= start_s:
                        output = output or writing.enter_context(_Output.new(path, start_s, shown, sound))
                        output.show(shown.time_s, shown.frame)
                        yield
                    before, shown = shown, next(frames, None)
                if output is not None:
                    yield from output.end(end_s)


def _is_held(following: ShownFrame | None, start_s: float, end_s: float) -> bool:
    return following is None or following.time_s >= end_s or following.time_s - start_s > HELD_AFTER_S


class _Output:
    """One file that is being written."""

    def __init__(self, file: IO[bytes], start_s: float, first: ShownFrame, sound: IO[bytes] | None) -> None:
        self._start_s = start_s
        self._first_s = first.first_s
        self._container = av.open(file.name, "w", format="mp4")
        self._form = _Form(first.frame)
        options = x264_options(16, x264_light(first.frame))
        self._rate = Fraction(first.average_fps).limit_denominator(65535)
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        self._set_up(first)
        self._sound = None if sound is None else Sound(sound, self._container)
        self._shown: tuple[int, VideoFrame] | None = None
        self._durations: dict[int, int] = {}
        self._last_packet: Packet[VideoStream] | None = None
        self._first_dts: int | None = None

    @classmethod
    @contextlib.contextmanager
    def new(
        cls, path: Path, start_s: float, first: ShownFrame, sound: IO[bytes] | None
    ) -> Generator[_Output, None, None]:
        with new_file(path) as file:
            output = cls(file, start_s, first, sound)
            with output._container:
                yield output

    def _set_up(self, first: ShownFrame) -> None:
        stream, context, frame = self._stream, self._stream.codec_context, first.frame
        stream.width, stream.height, stream.pix_fmt = *self._form.size, self._form.pix_fmt
        context.time_base = _TIME_BASE
        turned = self._form.quarter_turns % 2
        context.sample_aspect_ratio = 1 / first.pixel_aspect if turned else first.pixel_aspect
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc

    def show(self, time_s: float, frame: VideoFrame) -> None:
        """From this time on a frame is shown, until the next."""
        self._encode_shown(pts := round(Fraction(time_s - self._start_s) / _TIME_BASE))
        self._shown = pts, self._form(frame)

    def end(self, time_s: float) -> Generator[None, None, None]:
        """The last one is shown until this time; the file is whole."""
        end = round(Fraction(time_s - self._start_s) / _TIME_BASE)
        again = end - round(1 / self._rate / _TIME_BASE)
        if self._shown is not None and again - self._shown[0] > HELD_AFTER_S / _TIME_BASE:
            self._encode_shown(again)  # once more, for readers that look at frames only
            self._shown = again, self._shown[1]
        self._encode_shown(end)
        self._mux(self._stream.encode(None))
        if (packet := self._last_packet) is not None and packet.dts is not None:
            # The last to be decoded, not to be shown: its duration ends the stream.
            packet.duration = max(1, end - packet.dts + min(0, self._first_dts or 0))
            self._container.mux(packet)
        yield
        if self._sound is not None:
            self._sound.write(self._first_s + self._start_s, time_s - self._start_s)

    def _encode_shown(self, until: int) -> None:
        if self._shown is None:
            return
        pts, picture = self._shown
        self._durations[pts] = max(1, until - pts)
        picture.pts, picture.time_base = pts, _TIME_BASE
        picture.pict_type = 0  # the encoder chooses, whatever it was in the source
        self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._first_dts = packet.dts if self._first_dts is None else self._first_dts
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
            if self._last_packet is not None:
                self._container.mux(self._last_packet)
            self._last_packet = packet


class _Form:
    """Decoded frames to what is encoded: upright, of the first one's size, in a format that H.264 has."""

    def __init__(self, first: VideoFrame) -> None:
        self.pix_fmt = _pix_fmt(first)
        self.quarter_turns = round(first.rotation / 90) % 4
        self._stored = first.width, first.height
        width, height = self._stored[::-1] if self.quarter_turns % 2 else self._stored
        self.size = width - width % 2, height - height % 2
        self._graph: Graph | None = None
        self._source: tuple[int, int, str] | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        source = (frame.width, frame.height, frame.format.name)
        if self._graph is None or source != self._source:
            self._graph, self._source = self._new_graph(frame), source
        self._graph.push(frame)
        picture = self._graph.pull()
        assert isinstance(picture, VideoFrame)
        return picture

    def _new_graph(self, frame: VideoFrame) -> Graph:
        steps = [f"format={self.pix_fmt}", *_TURNS[self.quarter_turns]]
        if (frame.width, frame.height) != self._stored:
            steps.insert(0, f"scale={self._stored[0]}:{self._stored[1]}")
        width, height = self.size
        graph = Graph()
        graph.threads = 1  # as where clips are made anew (transcode.py)
        nodes = [
            graph.add(
                "buffer",
                video_size=f"{frame.width}x{frame.height}",
                pix_fmt=frame.format.name,
                time_base=f"1/{_TIME_BASE.denominator}",
                colorspace=str(int(frame.colorspace)),
                range=str(int(frame.color_range)),
            )
        ]
        for step in [*steps, f"crop={width}:{height}:0:0:exact=1"]:
            name, _, options = step.partition("=")
            nodes.append(graph.add(name, options or None))
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def _pix_fmt(frame: VideoFrame) -> str:
    """The format of H.264 that is nearest to a frame's."""
    source = frame.format
    if source.is_rgb or source.name.startswith(("pal", "bgr", "rgb", "gbr")):
        return "yuv420p"
    chroma = [
        component for component in source.components if component.is_chroma
    ]  # only where it is sampled less
    if chroma:
        sampling = "422" if chroma[0].height == frame.height else "420"
    else:
        sampling = "420" if len(source.components) < 3 else "444"
    is_deep = source.components[0].bits > 8
    full = "j" if source.name.startswith("yuvj") else ""
    return f"yuv{full}{sampling}p{'10le' if is_deep else ''}"
