"""What is found of a clip where captions are imported from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from framescribe.errors import UsageError
from framescribe.shown import shown, shown_value
from framescribe.types import Clip

MAX_CAPTION_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """A clip, with its caption if it has one.

    Attributes:
        clip: as ``caption`` would find it, so that it has the same id.
        caption: as it is written there; None where there is none.
        where: file and line, or entry.
        question: what was asked, if that is known.
        model: what wrote the caption, if that is known.
    """

    clip: Clip
    caption: str | None
    where: str
    question: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that cannot be used, and why."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{shown(self.where)}: {self.reason}"


def caption_text(value: object) -> str | None:
    """A caption as it is written; None where it is missing, blank or NaN.

    Raises:
        UsageError: it is no text, or too long.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str):
        raise UsageError(f"the caption is {shown_value(value)}, no text")
    if len(value) > MAX_CAPTION_CHARS:
        raise UsageError(
            f"the caption has {len(value):,} characters; at most {MAX_CAPTION_CHARS:,} are taken"
        )
    return value if value.strip() else None
