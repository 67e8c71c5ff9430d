"""What an export holds and what it does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from framescribe.export.judged import Accept
from framescribe.export.pair import Link, Unusable
from framescribe.quality.budget import T5_TOKENS
from framescribe.quality.cleanup import CleanupRules
from framescribe.version import __version__
from framescribe.video.normalize import Normalize

LONG_CAPTION_WORDS = T5_TOKENS * 3 // 4
"""About as many English words as CogVideoX's text encoder takes: a token is three quarters of a word."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not in the export, and why."""

    clip_id: str
    source_video: str
    reason: str
    detail: str


@dataclass(slots=True, kw_only=True)
class ExportReport:
    """What an export holds and what it does not: ``.framescribe/report.json`` in the target.

    Attributes:
        format, target, link, rules, accepted_flags, accept, variants: what was asked for.
        normalize: the form that every clip was made anew in; None left whole videos as they are.
        framescribe: the version that made it.
        rows, exported: rows read, and clips that are in the export.
        long_captions: exported captions of more than ``LONG_CAPTION_WORDS`` words.
        formulas: exported captions that a spreadsheet would run: they begin with ``=``, ``+``, ``-`` or ``@``. They are
            written as they are, since trainers would read the quotes that a spreadsheet needs.
        left_out: the others, in the order of their sources.
    """

    format: str
    target: str
    link: Link
    rules: CleanupRules
    accepted_flags: list[str]
    accept: Accept | None = None
    variants: list[str] = field(default_factory=list)
    normalize: Normalize | None = None
    framescribe: str = __version__
    rows: int = 0
    exported: int = 0
    long_captions: int = 0
    formulas: int = 0
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        """How many rows each reason keeps out."""
        return Counter(each.reason for each in self.left_out)

    def leave_out(self, clip_id: str, source_video: str, problem: Unusable) -> None:
        """Notes a row that does not go in."""
        self.left_out.append(LeftOut(clip_id, source_video, problem.reason, str(problem)))
