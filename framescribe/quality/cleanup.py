"""Rules that tidy a caption for a trainer. They are applied at export; stored text stays as it is."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from framescribe.errors import UsageError
from framescribe.quality.budget import Budget
from framescribe.quality.openers import strip_opener
from framescribe.quality.sentences import sentence_ends
from framescribe.quality.words import word_ends
from framescribe.shown import one_line


@dataclass(frozen=True, slots=True)
class Replacement:
    """Find and replace, all occurrences.

    Attributes:
        find: literal text, or a regular expression as Python's ``re`` reads it.
        replace: what stands there afterwards; in a regular expression, ``\\1`` is its first group.
        is_regex: which of the two.
    """

    find: str
    replace: str = ""
    is_regex: bool = False

    def __post_init__(self) -> None:
        if not self.find:
            raise UsageError("there is nothing to find: the text to replace is empty")
        try:
            self.apply("")
        except (re.error, IndexError) as error:
            raise UsageError(f"{self.find!r} → {self.replace!r}: {error}") from error

    def apply(self, text: str) -> str:
        """``text`` with every occurrence replaced."""
        return (
            re.sub(self.find, self.replace, text) if self.is_regex else text.replace(self.find, self.replace)
        )


@dataclass(frozen=True, slots=True)
class CleanupRules:
    """What is done to a caption, in this order; in any case it becomes one line without surrounding white space.

    Attributes:
        strip_openers: drop a leading "The video shows" and its like.
        replacements: applied one after the other.
        prefix, suffix: put before and after the caption as they are; the spaces are yours.
        trigger_word: put in front with a comma, unless the caption has the word already.
        budget: cut the caption, at the end of a sentence, so that all of this keeps it. A first sentence that is too
            long by itself is cut between words.
    """

    strip_openers: bool = False
    replacements: tuple[Replacement, ...] = ()
    prefix: str = ""
    suffix: str = ""
    trigger_word: str = ""
    budget: Budget | None = None


def clean(caption: str, rules: CleanupRules = CleanupRules()) -> str:
    """The caption as a trainer reads it: one line. A caption without words stays empty, whatever goes around it."""
    text = one_line(caption)
    if rules.strip_openers:
        text = strip_opener(text)
    for replacement in rules.replacements:
        text = replacement.apply(text)
    text = one_line(text)
    if not text:
        return ""
    if rules.budget is None:
        return _surround(text, rules)
    return _surround(_longest_that_fits(text, rules, rules.budget), rules)


def _surround(text: str, rules: CleanupRules) -> str:
    text = f"{rules.prefix}{text}{rules.suffix}"
    if rules.trigger_word and not re.search(rf"(?<!\w){re.escape(rules.trigger_word)}(?!\w)", text):
        text = f"{rules.trigger_word}, {text}"
    return one_line(text)


def _longest_that_fits(text: str, rules: CleanupRules, budget: Budget) -> str:
    def is_too_long(end: int) -> bool:
        return not budget.holds(_surround(text[:end], rules))

    if not is_too_long(len(text)):
        return text
    for ends in (sentence_ends(text), word_ends(text)):
        if fitting := bisect_right(ends, False, key=is_too_long):
            return text[: ends[fitting - 1]]
    raise UsageError(f"the budget leaves no room for a word beside prefix, suffix and trigger word: {budget}")
