"""Spans of a video to files of the form that ``Normalize`` says, in one reading."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from framescribe.errors import UsageError
from framescribe.files import temporary_beside
from framescribe.types import Clip
from framescribe.video.container import video_stream
from framescribe.video.decode import Probe, probe, shown_frames
from framescribe.video.normalize import Normalize, geometry
from framescribe.video.sound import Sound
from framescribe.video.source import open_source, opened_again
from framescribe.video.x264 import x264_options

_BT601 = 6  # FFmpeg's number for it (SMPTE 170M), as matrix, primaries and transfer
_LIMITED = 1
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_TURNS = {0: (), 1: ("transpose=cclock",), 2: ("hflip", "vflip"), 3: ("transpose=clock",)}

_ROUNDED_S = 0.002
"""Containers that count in milliseconds show a frame up to so much late or early."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A file to make: of the seconds from ``start_s`` to ``end_s`` (None: the end), counted from the first frame."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


def normalize_clips(
    clip: Clip, cuts: Sequence[Cut], wanted: Normalize
) -> Generator[None, None, dict[Path, str]]:
    """Makes files of spans of a clip's video; yields as it goes on. A file of such a name is always whole.

    Args:
        clip: whose video is read; its own span says nothing.
        cuts: what to make; spans may overlap.
        wanted: the form.

    Returns:
        Why a file was not made, for those that were not.

    Raises:
        ClipError: the video cannot be read.
        OSError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_source(clip))
        whole = replace(clip, start_s=0.0, end_s=None, data=file)  # fetched once
        seen = probe(whole)
        second = stack.enter_context(opened_again(file)) if wanted.keep_audio else None
        reading = _Reading(whole)
        outputs = [stack.enter_context(_Output(cut, seen, reading, second, wanted)) for cut in cuts]
        waiting = [output for output in outputs if not output.is_done]
        first_s = min((output.cut.start_s for output in waiting), default=0.0)
        for time_s, frame in reading.frames(first_s) if waiting else ():
            for output in waiting:
                yield from output.show(time_s, frame)
            waiting = [output for output in waiting if not output.is_done]
            if not waiting:
                break
            yield
        for output in waiting:
            yield from output.show(math.inf, None)  # the last picture stays
        return {output.cut.path: output.problem for output in outputs if output.problem is not None}


class _Reading:
    """A video that is being read: its frames, with their seconds from the first.

    Attributes:
        first_s: when the first frame is shown, on the file's own clock; known once it has been read.
        pixel_aspect: width of a stored pixel divided by its height.
    """

    def __init__(self, clip: Clip) -> None:
        self.first_s = 0.0
        self._clip = clip
        with open_source(clip) as file, video_stream(file, clip) as (_, stream):
            self.pixel_aspect = _fraction(stream.sample_aspect_ratio)

    def frames(self, start_s: float) -> Iterator[tuple[float, VideoFrame]]:
        """From ``start_s`` on, beginning with what is shown then."""
        for shown in shown_frames(replace(self._clip, start_s=start_s)):
            self.first_s = shown.first_s
            yield shown.time_s, shown.frame


def _fraction(aspect: Any) -> Fraction:
    """Of PyAV's ratio, which is none or 0 where the file does not say."""
    return Fraction(aspect.numerator, aspect.denominator) if aspect else Fraction(1)


class _Output:
    """One file in the making."""

    def __init__(
        self, cut: Cut, seen: Probe, reading: _Reading, second: IO[bytes] | None, wanted: Normalize
    ) -> None:
        self.cut = cut
        self.problem: str | None = None
        self._wanted = wanted
        self._rate = Fraction(wanted.fps or _own_rate(seen)).limit_denominator(65535)
        video_end_s = seen.facts.duration_s
        end_s = video_end_s if cut.end_s is None else min(cut.end_s, video_end_s)
        if end_s <= cut.start_s:
            self.problem = f"no frame from {cut.start_s:g} s: the video has {video_end_s:g} s"
        self._total = wanted.num_frames(end_s - cut.start_s, self._rate)
        self._written = 0
        self._shown: VideoFrame | None = None
        self._tolerance_s = min(_ROUNDED_S, 0.25 / self._rate)
        self._upright = _Upright(reading.pixel_aspect, wanted)
        self._sound_from = second
        self._reading = reading
        self._writer: _Writer | None = None

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.abandon()

    @property
    def is_done(self) -> bool:
        return self.problem is not None or self._written == self._total

    def show(self, time_s: float, frame: VideoFrame | None) -> Iterator[None]:
        """From ``time_s`` on the video shows ``frame``: writes what it showed before. None: it has ended."""
        end_s = time_s - self.cut.start_s - self._tolerance_s
        try:
            while self._shown is not None and not self.is_done and self._written / self._rate < end_s:
                self._write(self._upright(self._shown))
                yield
        except UsageError as error:
            self.problem = str(error)
        self._shown = frame

    def _write(self, picture: VideoFrame) -> None:
        if self._writer is None:
            self._writer = _Writer(self.cut.path, picture, self._rate, self._wanted.crf, self._sound_from)
        self._writer.write(picture, self._written)
        self._written += 1
        if self._written == self._total:
            self._writer.close(self._reading.first_s + self.cut.start_s, float(self._total / self._rate))
            self._writer = None  # its memory is free for the next span


def _own_rate(seen: Probe) -> float:
    """A video's rate: the average, unless pictures are held so that most follow each other much faster."""
    intervals_s = np.diff(seen.timestamps_s)
    usual_s = float(np.median(intervals_s)) if len(intervals_s) else 0.0
    is_uneven = 0 < usual_s < 0.8 / seen.average_fps
    return min(120.0, round(1 / usual_s)) if is_uneven else seen.average_fps


class _Upright:
    """Decoded frames to yuv420p pictures of one size; the last one is kept, as it may be shown again."""

    def __init__(self, pixel_aspect: Fraction, wanted: Normalize) -> None:
        self._pixel_aspect = pixel_aspect
        self._wanted = wanted
        self._form: tuple[object, ...] | None = None
        self._graph: Graph | None = None
        self._last: tuple[VideoFrame, VideoFrame] | None = None
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        if self._last is None or self._last[0] is not frame:
            self._last = frame, self._made(frame)
        return self._last[1]

    def _made(self, frame: VideoFrame) -> VideoFrame:
        if transfer := _HDR_TRANSFERS.get(int(frame.color_trc)):
            raise UsageError(f"it is HDR ({transfer}), and nothing here maps its tones")
        form = (frame.width, frame.height, frame.format.name, frame.rotation)
        if self._graph is None or form != self._form:
            self._graph, self._form = self._new_graph(frame), form
        self._graph.push(frame)
        picture = self._graph.pull()
        assert isinstance(picture, VideoFrame)
        return picture

    def _new_graph(self, frame: VideoFrame) -> Graph:
        # A stream that changes its size goes on in that of its first pictures.
        wanted = self._wanted if self._size is None else replace(self._wanted, size=self._size, side_step=2)
        to = geometry((frame.width, frame.height), self._pixel_aspect, round(frame.rotation / 90), wanted)
        self._size = to.size
        stored = to.scaled[::-1] if to.quarter_turns % 2 else to.scaled
        steps = [
            f"scale={stored[0]}:{stored[1]}:flags=bicubic+accurate_rnd+full_chroma_int"
            ":out_color_matrix=smpte170m:out_range=limited",
            "format=yuv420p",
        ]
        steps += _TURNS[to.quarter_turns]
        (width, height), (left, top) = to.size, to.placed
        kept = min(width, to.scaled[0]), min(height, to.scaled[1])
        steps += [
            f"crop={kept[0]}:{kept[1]}:{max(0, -left)}:{max(0, -top)}:exact=1",
            f"pad={width}:{height}:{max(0, left)}:{max(0, top)}",
            "setsar=1",
        ]
        return _graph(frame, steps)


def _graph(frame: VideoFrame, steps: list[str]) -> Graph:
    """Filters one after the other, for frames like this one."""
    graph = Graph()
    # With many cores, each scaling a few rows, a picture is sometimes not ready when it is asked for.
    graph.threads = 1
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base="1/1",
        pixel_aspect="1/1",  # it is in the geometry
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    nodes = [source]
    for step in steps:
        name, _, options = step.partition("=")
        nodes.append(graph.add(name, options or None))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


class _Writer:
    """An MP4 of pictures at a constant rate. It gets its name when it is closed."""

    def __init__(
        self, path: Path, picture: VideoFrame, rate: Fraction, crf: int, sound_from: IO[bytes] | None
    ) -> None:
        self._path, self._temporary = path, temporary_beside(path)
        self._container = av.open(str(self._temporary), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=rate, options=x264_options(crf))
        self._stream.width, self._stream.height = picture.width, picture.height
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = 1 / rate
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = _LIMITED
        self._sound = None if sound_from is None else Sound(sound_from, self._container)

    def write(self, picture: VideoFrame, number: int) -> None:
        """The picture with this number, counted from 0."""
        picture.pts, picture.time_base = number, self._stream.codec_context.time_base
        picture.pict_type = 0  # none: the encoder chooses, whatever it was in the source
        self._container.mux(self._stream.encode(picture))

    def close(self, sound_start_s: float, seconds: float) -> None:
        """Writes what is left and the sound, and gives the file its name."""
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write(sound_start_s, seconds)
        self._container.close()
        os.replace(self._temporary, self._path)

    def abandon(self) -> None:
        """Removes what there is of it, if it has not been closed."""
        self._container.close()
        self._temporary.unlink(missing_ok=True)
