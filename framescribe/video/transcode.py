"""Spans of a video to files of the form that ``Normalize`` says, in one reading."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from av.video.frame import VideoFrame

from framescribe.errors import UsageError
from framescribe.types import Clip
from framescribe.video.decode import ShownFrame
from framescribe.video.mp4 import TURNS, Filters, encoded, new_mp4
from framescribe.video.normalize import Normalize, geometry
from framescribe.video.plan import Probe
from framescribe.video.sound import Sound
from framescribe.video.spans import Cut, Output, write_spans

_BT601 = 6  # FFmpeg's number for it (SMPTE 170M), as matrix, primaries and transfer
_LIMITED = 1
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

_ROUNDED_S = 0.002
"""Containers that count in milliseconds show a frame up to so much late or early."""


def normalize_clips(
    clip: Clip, cuts: Sequence[Cut], wanted: Normalize
) -> Generator[None, None, dict[Path, str]]:
    """As ``write_spans``, in the form ``wanted``."""
    return write_spans(clip, cuts, partial(_Constant, wanted), wanted.keep_audio)


class _Constant(Output):
    """A file of pictures at a constant rate."""

    def __init__(self, wanted: Normalize, cut: Cut, video: Probe, sound_from: IO[bytes] | None) -> None:
        super().__init__(cut, video, sound_from)
        self._rate = Fraction(wanted.fps or _own_rate(video)).limit_denominator(65535)
        self._total = wanted.num_frames(self.end_s - cut.start_s, self._rate)
        self._tolerance_s = min(_ROUNDED_S, 0.25 / self._rate)
        self._crf = wanted.crf
        self._upright = _Upright(wanted)
        self._shown: ShownFrame | None = None
        self._written = 0

    def show(self, shown: ShownFrame | None) -> Iterator[None]:
        end_s = (math.inf if shown is None else shown.time_s) - self.cut.start_s - self._tolerance_s
        try:
            while self._shown is not None and not self.is_done and self._written / self._rate < end_s:
                self._write(self._shown)
                yield
        except UsageError as error:
            self.problem, self.is_done = str(error), True
            self._opened.__exit__(type(error), error, error.__traceback__)
        self._shown = shown

    def _write(self, shown: ShownFrame) -> None:
        picture = self._upright.picture(shown)
        if self._written == 0:
            self._open(picture)
        self._container.mux(encoded(self._stream, picture, self._written))
        self._written += 1
        if self._written < self._total:
            return
        self._container.mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write(shown.first_s + self.cut.start_s, float(self._total / self._rate))
        self._opened.close()
        self.is_done = True

    def _open(self, first: VideoFrame) -> None:
        file = new_mp4(self.cut.path, self._rate, crf=self._crf)
        self._container, self._stream = self._opened.enter_context(file)
        self._stream.width, self._stream.height, self._stream.pix_fmt = first.width, first.height, "yuv420p"
        context = self._stream.codec_context
        context.time_base = 1 / self._rate
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = _LIMITED
        self._sound = None if self._sound_from is None else Sound(self._sound_from, self._container)


def _own_rate(seen: Probe) -> float:
    """A video's rate: the average, unless pictures are held so that most follow each other much faster."""
    intervals_s = np.diff(seen.timestamps_s)
    usual_s = float(np.median(intervals_s)) if len(intervals_s) else 0.0
    is_uneven = 0 < usual_s < 0.8 / seen.facts.fps
    return min(120.0, round(1 / usual_s)) if is_uneven else seen.facts.fps


class _Upright(Filters):
    """Decoded frames to yuv420p pictures of one size; the last one is kept, as it may be shown again."""

    def __init__(self, wanted: Normalize) -> None:
        super().__init__()
        self._wanted = wanted
        self._pixel_aspect = Fraction(1)
        self._last: tuple[ShownFrame, VideoFrame] | None = None

    def picture(self, shown: ShownFrame) -> VideoFrame:
        if self._last is None or self._last[0] is not shown:
            if transfer := _HDR_TRANSFERS.get(int(shown.frame.color_trc)):
                raise UsageError(f"it is HDR ({transfer}), and nothing here maps its tones")
            self._pixel_aspect = shown.pixel_aspect
            self._last = shown, self(shown.frame)
        return self._last[1]

    def steps(self, frame: VideoFrame) -> list[str]:
        to = geometry(
            (frame.width, frame.height), self._pixel_aspect, round(frame.rotation / 90), self._wanted
        )
        (width, height), (left, top) = to.size, to.placed
        # A stream that changes its size goes on in that of its first pictures.
        self._wanted = replace(self._wanted, size=to.size, side_step=2)
        stored = to.scaled[::-1] if to.quarter_turns % 2 else to.scaled
        kept = min(width, to.scaled[0]), min(height, to.scaled[1])
        return [
            f"scale={stored[0]}:{stored[1]}:flags=bicubic+accurate_rnd+full_chroma_int"
            ":out_color_matrix=smpte170m:out_range=limited",
            "format=yuv420p",
            *TURNS[to.quarter_turns],
            f"crop={kept[0]}:{kept[1]}:{max(0, -left)}:{max(0, -top)}:exact=1",
            f"pad={width}:{height}:{max(0, left)}:{max(0, top)}",
            "setsar=1",
        ]
