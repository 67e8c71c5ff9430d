"""Which text of a row goes into an export: a good caption of the model's, or what people accepted or wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from framescribe.dataset.rewritten import PREFIX
from framescribe.export.pair import Unusable
from framescribe.quality.checks import check

Accept = Literal["reviewed", "accepted"]
COLUMNS = ("decision", "decision_reason", "edited_caption", "decision_is_stale")
"""What is read of decisions, where there are any."""


CAPTION = "caption"
"""Among variants: the caption itself."""
MENDED = ("opener", "over_budget", "duplicate")
"""Flags of captions that are rewritten all the same."""


def is_accepted(row: Mapping[str, Any]) -> bool:
    """Whether people accepted the caption that the row has now."""
    return row.get("decision") == "accept" and not row.get("decision_is_stale")


def exported_text(row: Mapping[str, Any], accept: Accept | None, accepted_flags: Collection[str]) -> str:
    """The text of a row's caption that goes into the export.

    Args:
        row: with the columns of decisions, if there are any.
        accept: which captions may go in by what people decided; None: all that nobody rejected.
        accepted_flags: flags that keep no caption out; one that was accepted none does.

    Raises:
        Unusable: the row does not go in.
    """
    edited = row.get("edited_caption")
    if row.get("decision") == "reject" and not row.get("decision_is_stale"):
        raise Unusable("rejected", row.get("decision_reason") or "")
    if accept == "accepted" and not is_accepted(row):
        raise Unusable("not accepted")
    if accept == "reviewed" and not is_accepted(row) and edited is None:
        raise Unusable("not reviewed")
    if is_accepted(row):
        return edited or row["caption"] or ""
    if edited is None and row["caption_status"] != "success":
        raise Unusable(f"status {row['caption_status']}", row.get("error_message") or "")
    found = row.get("flags") or () if edited is None else check(edited)
    if flags := [flag for flag in found if flag not in accepted_flags]:
        raise Unusable(f"flagged {flags[0]}", ", ".join(flags))
    return edited or row["caption"] or ""


def variant_text(row: Mapping[str, Any], variant: str) -> str:
    """A rewritten caption of a row that goes into the export. It was checked when it was made.

    Raises:
        Unusable: there is none of the caption as it is now.
    """
    text: str | None = row.get(f"{PREFIX}{variant}")
    if text is None:
        raise Unusable(
            f"no variant {variant}", "not rewritten since it was captioned or edited, or that failed"
        )
    return text
