"""What is wrong with a caption: pure functions from text to flags."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection

from framescribe.quality.budget import Budget
from framescribe.quality.flags import Flag
from framescribe.quality.loops import is_looping
from framescribe.quality.openers import has_opener
from framescribe.quality.sentences import sentence_ends
from framescribe.quality.words import count_words
from framescribe.types import CaptionStatus

_EXCLAMATIONS = re.compile(r"(?:[!?！？]\s*){4}")
_QUOTED = re.compile(
    r"\"[^\"]*\"|“[^”]*”|‘[^’]*’|«[^»]*»|„[^“”]*[“”]|「[^」]*」|『[^』]*』|\([^)]*\)|(?<!\w)'[^']*'(?!\w)"
)
_LETTERS = re.compile(r"[^\W\d_]+")
_LEAST_LETTERS = 0.6  # of what is not white space, letters and digits
# Words without a full stop that are a phrase, or one of a list of tags, rather than an unfinished sentence.
_LONGEST_PHRASE, _LONGEST_TAG = 8, 4
_UNFINISHED = re.compile(
    r"(?:[,;:(\[{“«–—-]|\b(?:a|an|the|and|or|but|of|with|from|to|as|is|are|was|were|his|her|their|its|while|which))$",
    re.IGNORECASE,
)
_NO_FULL_STOP = re.compile(r"[\u0e00-\u0eff]")  # Thai and Lao end sentences with nothing


def check(
    caption: str, *, is_truncated: bool = False, loops: bool = False, budget: Budget = Budget()
) -> tuple[Flag, ...]:
    """What is wrong with a caption, in the order of ``Flag``; nothing for a good one.

    Args:
        caption: in any language.
        is_truncated: whether it reached its token limit.
        loops: whether it was ended as it certainly loops, whatever the text here looks like.
        budget: the length that it should keep.
    """
    if not any(map(_is_visible, set(caption))):
        return ("empty",)
    found: dict[Flag, bool] = {
        "cut_off": is_truncated or _ends_mid_sentence(caption),
        "looping": loops or is_looping(caption),
        "exclamation": _EXCLAMATIONS.search(caption) is not None,
        "non_text": _is_non_text(caption),
        "over_budget": not budget.holds(caption),
        "opener": has_opener(caption),
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


def caption_status(flags: Collection[str], *, is_truncated: bool) -> CaptionStatus:
    """The one word for a caption with these flags: what is worst about it."""
    if "empty" in flags:
        return "empty"
    if "looping" in flags or "exclamation" in flags:
        return "repetitive"
    return "truncated" if is_truncated else "success"


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) != "Cf"


def _ends_mid_sentence(caption: str) -> bool:
    ends = sentence_ends(caption)
    rest = caption[ends[-1] if ends else 0 :].rstrip()
    if not any(map(str.isalnum, rest)) or _NO_FULL_STOP.match(rest[-1]):
        return False
    if ends or _UNFINISHED.search(rest):
        return True
    # No sentence at all: a phrase or a list of tags is whole without a full stop.
    longest = max(map(count_words, re.split("[,，、]", rest)))
    return count_words(rest) > _LONGEST_PHRASE and longest > _LONGEST_TAG


def _is_non_text(caption: str) -> bool:
    counts = Counter(caption)
    categories = {
        character: unicodedata.category(character) for character in counts if _is_visible(character)
    }
    if "\N{REPLACEMENT CHARACTER}" in counts or not {"Cc", "Co", "Cs"}.isdisjoint(categories.values()):
        return True
    visible = sum(counts[character] for character in categories)
    # L: letters, M: their marks, N: numbers.
    lettered = sum(counts[character] for character, category in categories.items() if category[0] in "LMN")
    return lettered < _LEAST_LETTERS * visible or _mixes_scripts(caption)


def _mixes_scripts(caption: str) -> bool:
    """Whether words of other scripts are strewn into a text in Latin letters.

    What is written on a sign belongs there: quoted text, and a single word beside it. Text in another script may hold
    as many Latin words as it likes.
    """
    if caption.isascii():
        return False
    words: list[str] = _LETTERS.findall(_QUOTED.sub(" ", caption))
    foreign = [[not _is_latin(letter) for letter in word] for word in words]
    if sum(map(sum, foreign)) * 2 > sum(map(len, foreign)):
        return False
    return any(any(word) and not all(word) for word in foreign) or sum(map(any, foreign)) > 1


def _is_latin(letter: str) -> bool:
    return (
        letter.isascii() or letter in "ªºµ" or unicodedata.name(letter, "").startswith(("LATIN", "MODIFIER"))
    )
