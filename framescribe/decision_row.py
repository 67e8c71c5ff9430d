"""The row of one decision about a caption: its columns are those of the table of decisions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from framescribe.plain_row import PlainRow

Action = Literal["accept", "reject", "edit", "tag", "untag", "undo"]
DECISION_SCHEMA_VERSION = 1
RowKey = tuple[str, int]
"""A caption's clip id and prompt index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow(PlainRow):
    """One entry in the history of decisions; entries are only ever added.

    Attributes:
        entry_id: names the entry.
        group_id: names the entries that were made in one step, such as a bulk edit.
        clip_id: of the caption's row.
        prompt_index: of the caption's row.
        action: ``accept``, ``reject``, ``edit`` (the text is replaced), ``tag``, ``untag``, or ``undo`` of an earlier
            entry.
        reason: why a caption is rejected.
        text: what a caption is edited to.
        tags: that are added or removed.
        undoes: the ``entry_id`` of what is undone.
        caption_digest: of the caption that was decided on (``caption_digest``).
        reviewer: who decided.
        decided_at: when: ISO 8601, UTC.
        schema_version: version of these columns.
    """

    entry_id: str
    group_id: str
    clip_id: str
    prompt_index: int = 0
    action: Action
    reason: str | None = None
    text: str | None = None
    tags: tuple[str, ...] = ()
    undoes: str | None = None
    caption_digest: str
    reviewer: str
    decided_at: str
    schema_version: int = DECISION_SCHEMA_VERSION

    @property
    def key(self) -> RowKey:
        return self.clip_id, self.prompt_index


def caption_digest(caption: str | None) -> str:
    """16 hexadecimal digits by which a decision knows the caption that it was made on; empty for no caption."""
    if caption is None:
        return ""
    return hashlib.sha256(caption.encode("utf-8", "backslashreplace")).hexdigest()[:16]
