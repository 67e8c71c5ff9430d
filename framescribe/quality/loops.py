"""Captions that go round in circles."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from framescribe.quality.sentences import sentence_ends
from framescribe.quality.words import bare_words

_CHARACTER_LOOP = re.compile(r"(.+?)\1{5}")
_LONG_WORD = 12  # characters; a loop without spaces makes long ones
_WINDOW, _STALE = 40, 20  # of so many words in a row, this many may end a trigram that came before
_LONGEST_PERIOD = 60


def is_looping(caption: str) -> bool:
    """Whether the caption repeats itself: a word, a phrase, a sentence, characters, or nearly so."""
    words = bare_words(caption)
    return (
        any(len(word) >= _LONG_WORD and _CHARACTER_LOOP.search(word) for word in words)
        or _has_loop(words)
        or _has_stale_stretch(words)
        or _repeats_sentence(caption)
    )


def _has_loop(words: list[str]) -> bool:
    """A word five times in a row, two or three words four times, a longer phrase three times."""
    last_seen: dict[str, int] = {}
    for index, word in enumerate(words):
        before = last_seen.get(word, index - _LONGEST_PERIOD - 1)
        last_seen[word] = index
        period = index - before
        if period > _LONGEST_PERIOD:
            continue
        repeats = 4 if period == 1 else 3 * period if period <= 3 else 2 * period
        if words[index : index + repeats] == words[before : before + repeats] and index + repeats <= len(
            words
        ):
            return True
    return False


def _has_stale_stretch(words: list[str]) -> bool:
    """Whether, somewhere, most of what is said has been said before: loops with changes."""
    seen: set[tuple[str, ...]] = set()
    stale: list[bool] = []
    for trigram in zip(words, words[1:], words[2:], strict=False):
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
    sentences = [tuple(bare_words(caption[start:end])) for start, end in zip([0, *ends], ends, strict=False)]
    if any(len(one) >= 4 and one == next_ for one, next_ in pairwise(sentences)):
        return True
    return any(count >= 3 and len(sentence) >= 2 for sentence, count in Counter(sentences).items())
