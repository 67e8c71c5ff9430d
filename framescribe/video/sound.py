"""Writes the sound of a span of a video as AAC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer

from framescribe.video.container import open_container
from framescribe.video.packets import SEEKABLE_FORMATS

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_JITTER_S = 0.02
"""Sound whose time stamp is so little off goes on without a gap: containers round, and encoders pad."""

_READ_AHEAD_S = 1.0

Samples = np.ndarray[Any, np.dtype[np.float32]]


class Sound:
    """A video's sound, of which a span goes into a file that is being written.

    Args:
        source: the video, as an open file that nothing else reads.
        output: the file that gets a sound stream if the video has sound; nothing may have been written to it yet.
    """

    def __init__(self, source: IO[bytes], output: OutputContainer) -> None:
        self._output = output
        source.seek(0)
        self._source = open_container(source)
        best = self._source.streams.best("audio")
        self._input = best if isinstance(best, AudioStream) else None
        if self._input is None:
            return
        context = self._input.codec_context
        self._rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48000
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.codec_context.bit_rate = 128_000

    def write(self, start_s: float, seconds: float) -> None:
        """Writes ``seconds`` of sound from ``start_s`` on the container's clock; where there is none, silence."""
        if self._input is None:
            return
        total = round(seconds * self._rate)
        written = 0
        for at, samples in self._pieces(start_s):
            if at > written + _JITTER_S * self._rate:
                written = self._put_silence(min(at, total), written)
            begin = written - at if at < written - _JITTER_S * self._rate else 0
            written = self._put(samples[:, max(0, begin) : max(0, begin) + total - written], written)
            if written >= total:
                break
        self._put_silence(total, written)
        self._output.mux(self._stream.encode(None))

    def _pieces(self, start_s: float) -> Iterator[tuple[int, Samples]]:
        """The sound as it is decoded: where it begins, in samples from ``start_s``, and samples [channels, n]."""
        assert self._input is not None
        resampler = AudioResampler("fltp", self._layout, self._rate)
        if self._source.format.name in SEEKABLE_FORMATS:
            with contextlib.suppress(av.FFmpegError):
                self._source.seek(round((start_s - _READ_AHEAD_S) * 1_000_000))
        for packet in self._source.demux(self._input):
            with contextlib.suppress(av.FFmpegError):
                for frame in packet.decode():
                    if not isinstance(frame, AudioFrame) or frame.time is None:
                        continue
                    at = round((frame.time - start_s) * self._rate)
                    for piece in resampler.resample(frame):
                        yield at, piece.to_ndarray().astype(np.float32, copy=False)
                        at += piece.samples

    def _put_silence(self, until: int, written: int) -> int:
        channels = 1 if self._layout == "mono" else 2
        while written < until:
            written = self._put(np.zeros((channels, min(self._rate, until - written)), np.float32), written)
        return written

    def _put(self, samples: Samples, written: int) -> int:
        if samples.shape[1] == 0:
            return written
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self._layout)
        frame.sample_rate, frame.pts = self._rate, written
        self._output.mux(self._stream.encode(frame))
        return written + int(samples.shape[1])
