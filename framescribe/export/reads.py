"""What a trainer's loader can read of a clip, and why it could not read one.

What ``layouts.toml`` says of decoders was found by giving each of them a file of each kind (``docs/exports.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from framescribe.types import VideoFacts

Problem = tuple[str, str]
"""A short reason, the same for all such clips, and its details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The stretch of a clip that CogVideo's SAT code samples.

    Attributes:
        fps, frames: it takes so many frames at this rate.
        margin: frames that it leaves out at either end.
        is_needed: it skips clips that are shorter, without a word. Otherwise it takes them whole; but of clips that are
            a little longer it reads past the end, which ends the training.
    """

    fps: int
    frames: int
    margin: int
    is_needed: bool

    def problem(self, facts: VideoFacts) -> Problem | None:
        """Why a clip cannot be sampled; None if it can."""
        span = int(self.frames / self.fps * facts.fps)
        needed = span + 2 * self.margin + 1
        if self.is_needed:
            if facts.num_frames < needed:
                return "too short", f"{facts.num_frames} frames of the {needed} that are needed"
            return None
        if facts.num_frames / facts.fps * self.fps <= self.frames:
            return None
        if (step := span // self.frames) == 0:
            return (
                "the trainer cannot sample it",
                f"{facts.fps:g} frames per second of {self.fps} that are needed",
            )
        last = self.margin + (span - 1) // step * step
        if last >= facts.num_frames:
            return "the trainer would read past its end", f"{facts.num_frames} frames; it asks for {last + 1}"
        return None


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
        window: the stretch that it samples, where that is a limit of its own.
    """

    suffixes: frozenset[str]
    codecs: frozenset[str]
    upright: frozenset[str]
    min_frames: int = 1
    min_s: float = 0.0
    max_s: float = math.inf
    fps: float | None = None
    frame_step: int = 4
    side_step: int = 16
    window: Window | None = None

    def problem(self, suffix: str, facts: VideoFacts) -> Problem | None:
        """Why a clip cannot be read; None if it can.

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
        return None if self.window is None else self.window.problem(facts)
