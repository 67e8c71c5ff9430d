"""Where sentences end."""

from __future__ import annotations

import re

# Words that end in a full stop within a sentence.
_ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "st", "mt", "jr", "sr", "vs", "e.g", "i.e", "approx", "ca", "cf", "no")
)
_CLOSERS = "\"')\\]}”’»」』）"
_END = re.compile(
    rf"[.!?…]+[{_CLOSERS}]*(?=\s|$)"  # Latin, Cyrillic, Greek, …: before a space
    rf"|[。！？｡।؟۔።։။។།]+[{_CLOSERS}]*"  # scripts with marks of their own
)
_LAST_WORD = re.compile(r"[\w.]*$")


def sentence_ends(text: str) -> list[int]:
    """Where in ``text`` a sentence has just ended, closing quotes and brackets included, in order."""
    return [match.end() for match in _END.finditer(text) if not _is_abbreviation(match)]


def _is_abbreviation(match: re.Match[str]) -> bool:
    if match[0] != "." or match.end() == len(match.string):
        return False
    before = _LAST_WORD.search(match.string, max(0, match.start() - 12), match.start())
    word = before[0] if before else ""
    return (len(word) == 1 and word.isupper()) or word.lower() in _ABBREVIATIONS
