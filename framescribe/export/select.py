"""Rows to pairs: which captions go into an export, and under which name their clip does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from framescribe.errors import UsageError
from framescribe.export.pair import Format, Pair, Unusable
from framescribe.pipeline.sources import VIDEO_SUFFIXES
from framescribe.quality.cleanup import CleanupRules, clean

_COLUMNS = ("clip_id", "source_video", "caption", "caption_status")
_NAME_LENGTH = 40


def to_pair(
    row: Mapping[str, Any], target: Format, rules: CleanupRules, accepted_flags: Collection[str]
) -> Pair:
    """The row's clip and its cleaned caption.

    Args:
        row: columns by name, of ``framescribe caption``.
        target: what the pair is for.
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
    if row.get("start_s") or row.get("end_s") is not None:
        raise Unusable(
            "a span of a longer video", "cut it out with `framescribe split --write` and caption the files"
        )
    suffix = PurePosixPath(row["source_video"]).suffix.lower()
    if suffix not in (target.suffixes or VIDEO_SUFFIXES):
        kinds = " or ".join(target.suffixes) if target.suffixes else "video"
        raise Unusable(
            f"not a {kinds} file", f"{target.trainer} would not find a file that ends in {suffix!r}"
        )
    if unknown := [name for name in target.needs if not row.get(name)]:
        raise Unusable("facts of the clip unknown", f"{target.trainer} needs {', '.join(unknown)}")
    return Pair(
        clip_id=row["clip_id"],
        source_video=row["source_video"],
        stem=_stem(row["clip_id"], row["source_video"]),
        suffix=suffix,
        caption=_caption(row["caption"], rules),
        width=row.get("width"),
        height=row.get("height"),
        fps=row.get("fps"),
        duration_s=row.get("duration_s"),
    )


def _caption(caption: str | None, rules: CleanupRules) -> str:
    text = clean(caption or "", rules)
    if not text:
        raise Unusable("no text left after clean-up")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unusable("not valid text", str(error)) from error
    # What every reader of lines depends on; a caption of control characters only has no visible text.
    if text.splitlines() != [text] or "\0" in text:
        raise Unusable("not valid text", repr(text))
    return text


def _stem(clip_id: str, source_video: str) -> str:
    """The source's name, as far as it is letters and digits, and the clip's id: the same clip always has the same.

    Trainers cache latents by stem; numbers in order would hand one clip's latents to another after a second export.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", PurePosixPath(source_video).stem).strip("-")[:_NAME_LENGTH]
    # CogVideo's SAT code replaces this word wherever it stands in a path.
    name = re.sub("videos", "video", name, flags=re.IGNORECASE).strip("-")
    if not re.fullmatch(r"[0-9a-f]{16}", clip_id):
        clip_id = hashlib.sha256(clip_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name}-{clip_id}" if name else clip_id
