"""Rows to what their cards on the page say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from framescribe.errors import ClipError
from framescribe.quality.words import count_words
from framescribe.report.links import Link
from framescribe.report.overview import Row
from framescribe.report.scales import written
from framescribe.report.stills import Stills, short_reason
from framescribe.report.units import duration
from framescribe.types import CAPTION_STATUSES
from framescribe.views import span_name

_SHOWN_CHARS, _SHOWN_CHARS_OF_LOOPS = 600, 200
_MAX_CHARS = 4000
_VERDICTS = {"accept": "accepted", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Tag:
    """What clips are found by: a status, a flag, how a repair ended, a verdict, or a person's tag.

    Attributes:
        name: as it is shown.
        tone: the style sheet's class.
    """

    name: str
    tone: str = "flag"

    @property
    def slug(self) -> str:
        """Without white space, which separates the tags of a clip."""
        return "-".join(self.name.split())


@dataclass(frozen=True, slots=True)
class Card:
    """A clip on the page.

    Attributes:
        source, name: the video's whole name, and its last part.
        facts: duration, span, size, rate and codec, as far as they are known.
        caption, rest: its beginning, and what is shown on request.
        length: of the whole caption, in characters.
        edited: the text that a person put in the caption's place.
        question: the prompt, where it is not the usual one.
        message: what failed, or is damaged.
        stills: a ``data:`` URI of a few pictures side by side, in the order of time; empty where there are none.
        no_stills: why there are none.
        address: of the video; None where a browser cannot open it.
    """

    source: str
    name: str
    facts: str
    caption: str
    rest: str
    length: int
    edited: str
    question: str
    message: str
    tags: list[Tag]
    stills: str
    no_stills: str
    address: str | None
    words: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Strip:
    """A clip beside a threshold: its pictures, as on a ``Card``, and its score as it is written."""

    source: str
    name: str
    stills: str
    no_stills: str
    address: str | None
    value: str


def strip_of(clip: Row, stills: Stills, link: Link) -> Strip:
    """The strip of a scored clip, whose score is in ``value``."""
    source = str(clip["source_video"])
    pictures, reason = _pictures(clip, stills)
    span = span_name("", clip["start_s"] or 0.0, clip["end_s"])
    return Strip(
        source, PurePosixPath(source).name + span, pictures, reason, link(clip), written(clip["value"])
    )


def card_of(row: Row, stills: Stills, link: Link, usual_prompt: str | None = None) -> Card:
    """The row's card.

    Args:
        usual_prompt: what most rows were asked.
    """
    source, caption = str(row["source_video"]), row.get("caption") or ""
    shown = _SHOWN_CHARS_OF_LOOPS if row["caption_status"] == "repetitive" else _SHOWN_CHARS
    pictures, reason = _pictures(row, stills)
    return Card(
        source=source,
        name=PurePosixPath(source).name,
        facts=_facts(row),
        caption=_cut(caption, shown),
        rest=_cut(caption[shown:], _MAX_CHARS - shown),
        length=len(caption),
        edited=_cut(row.get("edited_caption") or "", _MAX_CHARS),
        question=_cut(row.get("prompt") or "", _SHOWN_CHARS) if row.get("prompt") != usual_prompt else "",
        message=row.get("error_message") or "",
        tags=_tags(row),
        stills=pictures,
        no_stills=reason,
        address=link(row),
        words=count_words(caption),
        duration_s=row.get("duration_s") or 0.0,
    )


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def _pictures(row: Row, stills: Stills) -> tuple[str, str]:
    try:
        return stills(row), ""
    except ClipError as error:
        return "", short_reason(error)


def _tags(row: Row) -> list[Tag]:
    status = row["caption_status"]
    tags = [Tag(status, status if status in CAPTION_STATUSES else "flag"), *map(Tag, row.get("flags") or ())]
    if row.get("repairs"):
        tags.append(Tag("repaired" if status == "success" else "repair failed"))
    if verdict := "stale" if row.get("decision_is_stale") else row.get("decision"):
        tags.append(Tag(_VERDICTS.get(verdict, verdict), verdict))
    return [*tags, *(Tag(name, "") for name in row.get("tags") or ())]


def _facts(row: Row) -> str:
    duration_s, covered_s = row.get("duration_s"), row.get("covered_s")
    if not duration_s:
        return ""
    facts = [duration(duration_s)]
    if row.get("start_s") or row.get("end_s") is not None:
        facts.append(f"from {row.get('start_s') or 0:g} s")
    if row.get("width") and row.get("height"):
        facts.append(f"{row['width']}×{row['height']}")
    if row.get("fps"):
        facts.append(f"{row['fps']:.3g} fps")
    if row.get("codec"):
        facts.append(row["codec"])
    if covered_s is not None and covered_s < 0.95 * duration_s:
        facts.append(f"only {duration(covered_s)} seen")
    return " · ".join(facts)
