"""Captions that go round in circles."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from framescribe.quality.sentences import sentence_ends

# A unit is a word without its punctuation; Chinese and Japanese, written without spaces, give one per character.
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_UNIT = re.compile(rf"[{_CJK}]|[^\s{_CJK}.,;:!?…\"“”„«»()\[\]{{}}<>|/\\，。、；：！？「」『』（）]+")
_CHARACTER_LOOP = re.compile(r"(.+?)\1{5}")
_LONG_UNIT = 12  # characters; a loop without spaces makes long ones
_WINDOW, _STALE = 40, 20  # of so many units in a row, this many may end a trigram that came before
_LONGEST_PERIOD = 60


def is_looping(caption: str) -> bool:
    """Whether the caption repeats itself: a word, a phrase, a sentence, characters, or nearly so."""
    units = _UNIT.findall(caption.lower())
    return (
        any(len(unit) >= _LONG_UNIT and _CHARACTER_LOOP.search(unit) for unit in units)
        or _has_loop(units)
        or _has_stale_stretch(units)
        or _repeats_sentence(caption)
    )


def _has_loop(units: list[str]) -> bool:
    """A word five times in a row, two or three words four times, a longer phrase three times."""
    last_seen: dict[str, int] = {}
    for index, unit in enumerate(units):
        before = last_seen.get(unit, index - _LONGEST_PERIOD - 1)
        last_seen[unit] = index
        period = index - before
        if period > _LONGEST_PERIOD:
            continue
        repeats = 4 if period == 1 else 3 * period if period <= 3 else 2 * period
        if units[index : index + repeats] == units[before : before + repeats] and index + repeats <= len(
            units
        ):
            return True
    return False


def _has_stale_stretch(units: list[str]) -> bool:
    """Whether, somewhere, most of what is said has been said before: loops with changes."""
    seen: set[tuple[str, ...]] = set()
    stale: list[bool] = []
    for trigram in zip(units, units[1:], units[2:], strict=False):
        stale.append(trigram in seen)
        seen.add(trigram)
    count = 0
    for index, is_stale in enumerate(stale):
        count += is_stale - (index >= _WINDOW and stale[index - _WINDOW])
        if count >= _STALE:
            return True
    return False


def _repeats_sentence(caption: str) -> bool:
    """A sentence three times, or one of four words or more twice in a row."""
    ends = sentence_ends(caption)
    sentences = [
        tuple(_UNIT.findall(caption[start:end].lower())) for start, end in zip([0, *ends], ends, strict=False)
    ]
    if any(len(one) >= 4 and one == next_ for one, next_ in pairwise(sentences)):
        return True
    return any(count >= 3 and len(sentence) >= 2 for sentence, count in Counter(sentences).items())
