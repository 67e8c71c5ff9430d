"""Rows to candidates: which captions go into an export, and under which name their clip does."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.pair import Candidate, Unusable
from framescribe.pipeline.sources import VIDEO_SUFFIXES
from framescribe.quality.cleanup import CleanupRules, clean
from framescribe.types import Clip
from framescribe.video.address import suffix_of, without_query

_COLUMNS = ("clip_id", "source_video", "caption", "caption_status")
_NAME_LENGTH = 40


def to_candidate(row: Mapping[str, Any], rules: CleanupRules, accepted_flags: Collection[str]) -> Candidate:
    """The row's clip and its cleaned caption.

    Args:
        row: columns by name, of ``framescribe caption``.
        rules: how the caption is tidied.
        accepted_flags: flags that do not keep a caption out.

    Raises:
        Unusable: the row does not go into the export; why.
        UsageError: it is no row of ``framescribe caption``.
    """
    if missing := [name for name in _COLUMNS if name not in row]:
        raise UsageError(f"a row has no column {missing[0]!r}: these are not rows of `framescribe caption`")
    if row["caption_status"] != "success":
        raise Unusable(f"status {row['caption_status']}", row.get("error_message") or "")
    if flags := [flag for flag in row.get("flags") or () if flag not in accepted_flags]:
        raise Unusable(f"flagged {flags[0]}", ", ".join(flags))
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
        caption=_caption(row["caption"], rules),
    )


def _caption(caption: str | None, rules: CleanupRules) -> str:
    text = clean(caption or "", rules)
    if not text:
        raise Unusable("no text left after clean-up")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unusable("not valid text", str(error)) from error
    # What every reader of lines depends on; and terminals obey control characters.
    if text.splitlines() != [text] or any(unicodedata.category(each) == "Cc" for each in text):
        raise Unusable("control characters in the caption", repr(text))
    return text


def _stem(clip_id: str, source_video: str) -> str:
    """The source's name, as far as it is letters and digits, and the clip's id: the same clip always has the same.

    Trainers cache latents by stem; numbers in order would hand one clip's latents to another after a second export.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", PurePosixPath(without_query(source_video)).stem).strip("-")[
        :_NAME_LENGTH
    ]
    # CogVideo's SAT code replaces this word wherever it stands in a path.
    name = re.sub("videos", "video", name, flags=re.IGNORECASE).strip("-")
    if not re.fullmatch(r"[0-9a-f]{16}", clip_id):
        clip_id = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name}-{clip_id}" if name else clip_id
