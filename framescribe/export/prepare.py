"""A clip made anew for a trainer: a span cut out of its video, or a file of a kind that the trainer reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.export.pair import Unusable
from framescribe.export.reads import Reads
from framescribe.types import Clip, VideoFacts
from framescribe.video.encode import write_clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How clips are made anew. Spans always are; whole videos where ``normalize`` says so.

    Attributes:
        normalize: make those anew that the trainer could not read as they are.
    """

    normalize: bool = False

    def wants(self, clip: Clip, problem: tuple[str, str] | None) -> bool:
        """Whether a clip is to be made anew; ``problem`` is what the trainer has with it."""
        return bool(clip.start_s) or clip.end_s is not None or (self.normalize and problem is not None)

    def make(self, clip: Clip, facts: VideoFacts, reads: Reads, path: Path) -> None:
        """Writes a clip as an MP4 of its own.

        Args:
            clip: its source and span.
            facts: of the clip.
            reads: what its trainer can read.
            path: of the file to write; ends in ``.mp4``.

        Raises:
            Unusable: it cannot be made.
            ClipError: it cannot be read.
        """
        end_s = clip.start_s + facts.duration_s if clip.end_s is None else clip.end_s
        write_clips(replace(clip, start_s=0.0, end_s=None), {path: (clip.start_s, end_s)})
        if not path.exists():
            raise Unusable("no frame in its span", f"{clip.source_video}: {clip.start_s:g} s to {end_s:g} s")
