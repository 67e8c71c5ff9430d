"""What counts now: entries of the history of decisions folded into one state for each caption."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from framescribe.decision_row import DecisionRow, RowKey, caption_digest

Verdict = Literal["accept", "reject"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about a caption. Verdict, text and tags are separate: in each the last entry counts.

    Attributes:
        verdict: ``accept``, ``reject``, or None.
        reason: of the rejection.
        text: what the caption was edited to; None if it was not.
        tags: that the clip has, in the order of adding.
        reviewer: who made the last entry that counts.
        decided_at: when that was, ISO 8601, UTC.
        verdict_of, text_of: digests of the captions that verdict and text were given to.
    """

    verdict: Verdict | None = None
    reason: str | None = None
    text: str | None = None
    tags: tuple[str, ...] = ()
    reviewer: str | None = None
    decided_at: str | None = None
    verdict_of: str | None = None
    text_of: str | None = None

    @property
    def is_reviewed(self) -> bool:
        """Whether any entry counts."""
        return self.decided_at is not None

    def is_stale(self, caption: str | None) -> bool:
        """Whether the verdict, or without one the text, was given to another caption than the row has now."""
        given_to = self.text_of if self.verdict is None else self.verdict_of
        return given_to not in (None, caption_digest(caption))

    def current_edit(self, caption: str | None) -> str | None:
        """What a row with this caption was edited to; None too where another caption was edited."""
        return self.text if self.text_of == caption_digest(caption) else None

    def current_text(self, caption: str | None) -> str | None:
        """The text that counts for a row with this caption."""
        edited = self.current_edit(caption)
        return caption if edited is None else edited

    def current_verdict(self, caption: str | None) -> Verdict | None:
        """The verdict on a row with this caption; None too where it was given on another caption."""
        return self.verdict if self.verdict_of == caption_digest(caption) else None


_UNDECIDED = Decided()


def fold(entries: Sequence[DecisionRow]) -> Decided:
    """The state after some entries of one caption, oldest first."""
    undone: set[str | None] = set()
    counting: list[DecisionRow] = []
    for entry in reversed(entries):  # so that an undo that was undone itself undoes nothing
        if entry.entry_id in undone:
            continue
        if entry.action == "undo":
            undone.add(entry.undoes)
        else:
            counting.append(entry)
    if not counting:
        return Decided()
    verdict = next((entry for entry in counting if entry.action in ("accept", "reject")), None)
    edit = next((entry for entry in counting if entry.action == "edit"), None)
    tags: dict[str, None] = {}
    for entry in reversed(counting):
        if entry.action == "tag":
            tags.update(dict.fromkeys(entry.tags))
        elif entry.action == "untag":
            tags = {tag: None for tag in tags if tag not in entry.tags}
    return Decided(
        verdict=None if verdict is None else "accept" if verdict.action == "accept" else "reject",
        reason=None if verdict is None else verdict.reason,
        text=None if edit is None else edit.text,
        tags=tuple(tags),
        reviewer=counting[0].reviewer,
        decided_at=counting[0].decided_at,
        verdict_of=None if verdict is None else verdict.caption_digest,
        text_of=None if edit is None else edit.caption_digest,
    )


class DecisionStates:
    """The states of all captions that there are entries of, folded when they are asked for.

    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._entries: dict[RowKey, list[DecisionRow]] = {}
        self._folded: dict[RowKey, Decided] = {}
        self._known = 0
        self._guard = threading.RLock()

    def take(self, entries: Sequence[DecisionRow]) -> None:
        """Takes what is new among all entries, oldest first."""
        with self._guard:
            for entry in entries[self._known :]:
                self._entries.setdefault(entry.key, []).append(entry)
                self._folded.pop(entry.key, None)
                self._known += 1

    def history(self, key: RowKey) -> list[DecisionRow]:
        """All entries of a caption, oldest first, also those that were undone."""
        with self._guard:
            return list(self._entries.get(key, ()))

    def of(self, key: RowKey) -> Decided:
        """What counts of a caption; an empty state where nothing was decided."""
        with self._guard:
            if key not in self._entries:
                return _UNDECIDED
            if key not in self._folded:
                self._folded[key] = fold(self._entries[key])
            return self._folded[key]

    def all(self) -> dict[RowKey, Decided]:
        """What counts of each caption with entries."""
        with self._guard:
            return {key: self.of(key) for key in self._entries}
