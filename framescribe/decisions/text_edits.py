"""Edits of many captions at once (replace, prefix, suffix, trigger word), each change shown before it is made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from framescribe.dataset.decision_state import DecisionStates
from framescribe.dataset.pattern import replace_pattern
from framescribe.decisions.selection import Selected
from framescribe.errors import UsageError

MAX_TEXT_CHARS = 100_000
"""Of an edited caption."""
_MAX_PART_CHARS = 10_000
MAX_CHANGES = 200_000
"""Of one bulk edit."""


class TextEdit(Protocol):
    """An edit of texts."""

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The texts as they are after it, in the same order.

        Raises:
            UsageError: the edit cannot be made.
        """


@dataclass(frozen=True, slots=True)
class Replace:
    r"""Replaces what is found, wherever it stands in a text.

    Attributes:
        find: a text, or a regular expression as RE2 has them, which takes no longer than the text is long.
        by: what takes its place; of a regular expression ``\1`` is the first group.
        is_regex: whether ``find`` is a regular expression.
        ignores_case: whether letters of either case are found.
    """

    find: str
    by: str = ""
    is_regex: bool = False
    ignores_case: bool = False

    def __post_init__(self) -> None:
        _check_part("find", self.find)
        _check_part("by", self.by, may_be_empty=True)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        if self.is_regex:
            return replace_pattern(texts, self.find, self.by, self.ignores_case)
        if not self.ignores_case:
            return [text.replace(self.find, self.by) for text in texts]
        found = re.compile(re.escape(self.find), re.IGNORECASE)
        return [found.sub(lambda _: self.by, text) for text in texts]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Puts a text in front."""

    text: str

    def __post_init__(self) -> None:
        _check_part("prefix", self.text)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        return [self.text + text for text in texts]


@dataclass(frozen=True, slots=True)
class Suffix:
    """Puts a text at the end."""

    text: str

    def __post_init__(self) -> None:
        _check_part("suffix", self.text)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        return [text + self.text for text in texts]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Puts a trigger word and a comma in front of texts that do not have it as a word of its own."""

    word: str

    def __post_init__(self) -> None:
        _check_part("trigger", self.word)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        there = re.compile(rf"(?<!\w){re.escape(self.word)}(?!\w)", re.IGNORECASE)
        return [text if there.search(text) else f"{self.word}, {text}" for text in texts]


@dataclass(frozen=True, slots=True)
class Change:
    """What a bulk edit makes of one caption.

    Attributes:
        clip_id, prompt_index: of its row.
        before: the text that counts now.
        after: the text that would count.
        edited: the text that it had been edited to before; None if it had not.
        caption_digest: of the row's caption.
    """

    clip_id: str
    prompt_index: int
    before: str
    after: str
    edited: str | None
    caption_digest: str


@dataclass(frozen=True, slots=True)
class Preview:
    """All that a bulk edit would change, in the order of the rows.

    Attributes:
        changes: one for each caption that would be another.
        unchanged: how many captions would stay as they are, those without any text among them.
    """

    changes: tuple[Change, ...]
    unchanged: int


def preview_of(edit: TextEdit, selected: Sequence[Selected], states: DecisionStates) -> Preview:
    """What an edit would make of some captions, or of what they were edited to.

    Raises:
        UsageError: the edit cannot be made, leaves a caption without text, or changes more than ``MAX_CHANGES``.
    """
    present = [(each, states.of(each.key).current_text(each.caption)) for each in selected]
    with_text = [(each, text) for each, text in present if text]
    changes = []
    for (each, before), after in zip(with_text, edit([text for _, text in with_text]), strict=True):
        if after == before:
            continue
        _check_result(each.key[0], after)
        edited = states.of(each.key).text
        changes.append(Change(*each.key, before, after, edited, each.digest))
    if len(changes) > MAX_CHANGES:
        raise UsageError(f"{len(changes):,} captions would change; choose at most {MAX_CHANGES:,} at a time")
    return Preview(tuple(changes), len(selected) - len(changes))


def _check_result(clip_id: str, text: str) -> None:
    if not text.strip():
        raise UsageError(f"the caption of clip {clip_id} would have no text left; reject it instead")
    if len(text) > MAX_TEXT_CHARS:
        raise UsageError(f"the caption of clip {clip_id} would have more than {MAX_TEXT_CHARS:,} characters")


def _check_part(name: str, text: object, *, may_be_empty: bool = False) -> None:
    if not isinstance(text, str) or not (text or may_be_empty):
        raise UsageError(f"`{name}` must be a text, not {text!r}")
    if len(text) > _MAX_PART_CHARS:
        raise UsageError(f"`{name}` has {len(text):,} characters; at most {_MAX_PART_CHARS:,} are taken")
