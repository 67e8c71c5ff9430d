"""What a trainer's loader can read of a clip, and why it could not read one.

What is said of decoders here was found by giving each of them a file of each kind (``docs/exports.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from framescribe.types import VideoFacts

FFMPEG = frozenset({
    "cinepak", "dnxhd", "dvvideo", "ffv1", "flv", "flv1", "h263", "h264", "hevc", "huffyuv", "mjpeg", "mpeg1video",
    "mpeg2video", "mpeg4", "msmpeg4v3", "png", "prores", "qtrle", "rawvideo", "utvideo", "vc1", "vp8", "vp9", "wmv1",
    "wmv2", "wmv3",
})  # fmt: skip
"""Codecs that every build of FFmpeg decodes; for AV1 it needs a library that not every build has."""

UPRIGHT_NOWHERE: frozenset[str] = frozenset()
UPRIGHT_IN_MP4 = frozenset({".mp4", ".mov", ".m4v", ".3gp"})
UPRIGHT = UPRIGHT_IN_MP4 | {".mkv", ".webm", ".avi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a trainer can read.

    Attributes:
        suffixes: endings of the files that its loader finds and opens.
        codecs: that its decoder knows, by FFmpeg's names.
        upright: endings of the files whose pictures it shows turned as the file asks, as captions tell of them.
        min_frames: of a clip; shorter ones are skipped, or end the training.
        min_s, max_s: length of a clip in seconds; the same.
        fps: rate that its models are trained at; None where they differ.
        frame_step: its models take 1, 1 + step, 1 + 2 × step … frames; 1: any number.
        side_step: width and height that its models take are multiples of this.
    """

    suffixes: frozenset[str]
    codecs: frozenset[str] = FFMPEG
    upright: frozenset[str] = UPRIGHT_NOWHERE
    min_frames: int = 1
    min_s: float = 0.0
    max_s: float = math.inf
    fps: float | None = None
    frame_step: int = 4
    side_step: int = 16

    def problem(self, suffix: str, facts: VideoFacts) -> tuple[str, str] | None:
        """Why a clip cannot be read, as a short reason and its details; None if it can.

        Args:
            suffix: of the clip's file, lower case, ``.mp4``.
            facts: of the clip.
        """
        if suffix not in self.suffixes:
            return f"the trainer reads no {suffix} files", f"it reads {' '.join(sorted(self.suffixes))}"
        if facts.codec not in self.codecs:
            return f"the trainer cannot decode {facts.codec}", f"it decodes {', '.join(sorted(self.codecs))}"
        if facts.rotation and suffix not in self.upright:
            return "the trainer would see it lying", f"the file asks to be turned by {facts.rotation} degrees"
        if facts.num_frames < self.min_frames:
            return "too short", f"{facts.num_frames} frames of the {self.min_frames} that are needed"
        if facts.duration_s < self.min_s:
            return "too short", f"{facts.duration_s:.2f} s; it needs {self.min_s:g} s"
        if facts.duration_s > self.max_s:
            return "too long", f"{facts.duration_s:.2f} s; it takes {self.max_s:g} s at most"
        return None


DECORD = Reads(
    # It cannot seek in MPEG-TS, and knows no Ogg.
    suffixes=frozenset({
        ".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".vob", ".y4m",
    }),
    upright=UPRIGHT_IN_MP4,
)  # fmt: skip
"""decord 0.6 with its FFmpeg 4, which decodes no AV1."""

PYAV = Reads(
    suffixes=DECORD.suffixes | {".gif", ".m2ts", ".mts", ".ogv", ".ts"},
    codecs=FFMPEG | {"av1", "gif", "theora"},
)
"""PyAV, which turns no pictures."""
