"""Where sentences end."""

from __future__ import annotations

import re

# Words that end in a full stop within a sentence.
_ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "st", "mt", "jr", "sr", "vs", "e.g", "i.e", "approx", "ca", "cf", "no")
)
_CLOSERS = "\"')\\]}”’»」』）"
_END = re.compile(
    rf"(?P<word>[\w.'’-]*)(?P<mark>[.!?…]+)[{_CLOSERS}]*(?=\s|$)"  # Latin, Cyrillic, Greek, …: before a space
    rf"|[。！？｡।؟۔።]+[{_CLOSERS}]*"  # Chinese, Japanese, Hindi, Arabic, Amharic
)


def sentence_ends(text: str) -> list[int]:
    """Where in ``text`` a sentence has just ended, closing quotes and brackets included, in order."""
    return [match.end() for match in _END.finditer(text) if not _is_abbreviation(match)]


def _is_abbreviation(match: re.Match[str]) -> bool:
    if match["mark"] != "." or match.end() == len(match.string):
        return False
    word = match["word"]
    is_initial = len(word) == 1 and word.isupper()
    return is_initial or word.lower() in _ABBREVIATIONS
