"""Rows to candidates: which captions go into an export, and under which name their clip does."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.judged import CAPTION, MENDED, Accept, exported_text, is_accepted, variant_text
from framescribe.export.pair import Candidate, Unusable
from framescribe.export.places import Places
from framescribe.export.report import ExportReport, LeftOut
from framescribe.pipeline.sources import VIDEO_SUFFIXES
from framescribe.quality.cleanup import CleanupRules, clean
from framescribe.quality.duplicates import DuplicateFinder
from framescribe.types import Clip
from framescribe.video.address import suffix_of, without_query

COLUMNS = (
    "clip_id", "prompt_index", "source_video", "start_s", "end_s", "prompt", "caption", "caption_status", "flags",
    "error_message",
)  # fmt: skip
"""What an export reads of a row."""

_NEEDED = ("clip_id", "source_video", "caption", "caption_status")
_NAME_LENGTH = 40

Row = Mapping[str, Any]


def candidates_of(
    rows: Iterable[Row], places: Places, report: ExportReport, prompt_index: int | None = None
) -> list[Candidate]:
    """What the rows offer, in the order of their sources and spans; the others are noted in the report.

    Args:
        rows: columns by name.
        places: from where clips may come.
        report: says how captions are tidied, and which are accepted.
        prompt_index: which prompt's captions; None takes those of the first prompt that there are rows of.

    Raises:
        UsageError: they are no rows of ``framescribe caption``.
    """
    offers = [(_prompt_index(row), _offer(row, places, report)) for row in rows]
    report.rows = len(offers)
    wanted = min((index for index, _ in offers), default=0) if prompt_index is None else prompt_index
    found: dict[str, Candidate] = {}
    for index, offer in offers:
        if index != wanted:
            problem = Unusable("of another prompt", f"of prompt {index}; those of prompt {wanted} go in")
            report.leave_out(offer.clip_id, offer.source_video, problem)
        elif isinstance(offer, LeftOut):
            report.left_out.append(offer)
        elif (other := found.setdefault(offer.stem, offer)) is not offer:
            problem = Unusable("the clip is there already", f"{other.source_video} has the same id")
            report.leave_out(offer.clip_id, offer.source_video, problem)
    candidates = sorted(found.values(), key=_order)
    return candidates if "duplicate" in report.accepted_flags else list(_distinct(candidates, report))


def _prompt_index(row: Row) -> int:
    if missing := [name for name in _NEEDED if name not in row]:
        raise UsageError(f"a row has no column {missing[0]!r}: these are not rows of `framescribe caption`")
    return row.get("prompt_index") or 0  # none in rows of older versions


def _offer(row: Row, places: Places, report: ExportReport) -> Candidate | LeftOut:
    try:
        candidate = to_candidate(row, report.rules, report.accepted_flags, report.accept, report.variants)
        places.check(candidate.source_video)
    except Unusable as problem:
        return LeftOut(row["clip_id"], row["source_video"], problem.reason, str(problem))
    return candidate


def _distinct(candidates: Iterable[Candidate], report: ExportReport) -> Iterator[Candidate]:
    """Those whose caption, before the clean-up, people accepted, or does not nearly repeat that of one before."""
    finder = DuplicateFinder()
    for candidate in candidates:
        first = finder.add(candidate.clip_id, candidate.row_caption)
        if first is None or candidate.is_accepted:
            yield candidate
        else:
            problem = Unusable("flagged duplicate", f"nearly the caption of clip {first}")
            report.leave_out(candidate.clip_id, candidate.source_video, problem)


def _order(candidate: Candidate) -> tuple[str, float, float, str]:
    clip = candidate.clip
    return (
        candidate.source_video,
        clip.start_s,
        float("inf") if clip.end_s is None else clip.end_s,
        candidate.stem,
    )


def to_candidate(
    row: Row,
    rules: CleanupRules,
    accepted_flags: Collection[str],
    accept: Accept | None = None,
    variants: Sequence[str] = (),
) -> Candidate:
    """The row's clip and its cleaned caption, or variants of it.

    Raises:
        Unusable: the row does not go into the export; why.
    """
    flags = (*accepted_flags, *MENDED) if variants and CAPTION not in variants else accepted_flags
    text = exported_text(row, accept, flags)
    texts = [text if each == CAPTION else variant_text(row, each) for each in variants or (CAPTION,)]
    caption, *others = (_caption(each, rules) for each in texts)
    try:
        clip = Clip(
            row["source_video"], row.get("start_s") or 0.0, row.get("end_s"), prompt=row.get("prompt") or None
        )
    except UsageError as error:
        raise Unusable("its span is none", str(error)) from error
    suffix = suffix_of(clip.source_video)
    if suffix not in VIDEO_SUFFIXES:
        raise Unusable("not a video file", f"{clip.source_video}: no video's name ends in {suffix!r}")
    return Candidate(
        clip_id=row["clip_id"],
        clip=clip,
        stem=_stem(row["clip_id"], clip.source_video),
        caption=caption,
        others=tuple(others),
        row_caption=text,
        is_accepted=is_accepted(row),
    )


def _caption(caption: str, rules: CleanupRules) -> str:
    text = clean(caption, rules)
    if not text:
        raise Unusable("no text left after clean-up")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unusable("not valid text", str(error)) from error
    if any(unicodedata.category(each) == "Cc" for each in text):  # which terminals obey
        raise Unusable("control characters in the caption", repr(text))
    return text


def _stem(clip_id: str, source_video: str) -> str:
    """The source's name, as far as it is letters and digits, and the clip's id: the same clip always has the same.

    Trainers cache latents by stem; numbers in order would hand one clip's latents to another after a second export.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", PurePosixPath(without_query(source_video)).stem).strip("-")
    # CogVideo's SAT code replaces this word wherever it stands in a path.
    name = re.sub("videos", "video", name[:_NAME_LENGTH], flags=re.IGNORECASE).strip("-")
    if not re.fullmatch(r"[0-9a-f]{16}", clip_id):
        clip_id = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name}-{clip_id}" if name else clip_id
