"""What a word is, in Python and in queries: what stands between white space, or one Chinese or Japanese character.

These two scripts are written without spaces.
"""

from __future__ import annotations

import re

# Spelled out, so that Python and RE2, which answers queries, mean the same characters.
_BREAKS = "\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACE = f" {_BREAKS}"
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_PUNCTUATION = r".,;:!?…\"“”„«»()\[\]{}<>|/\\–—，。、；：！？「」『』（）"

_WORD = rf"[{_CJK}]|[^{_SPACE}{_CJK}]+"
_WORDS = re.compile(_WORD)
_BARE = re.compile(rf"[{_CJK}]|[^{_SPACE}{_CJK}{_PUNCTUATION}]+")
# Of text without these, the words are one more than the spaces: far quicker than to find each word.
_UNEVEN = f"[{_BREAKS}{_CJK}]|  |^ | $|^$"


def count_words(text: str) -> int:
    """How many words ``text`` has."""
    return len(text.split()) if text.isascii() else sum(1 for _ in _WORDS.finditer(text))


def word_ends(text: str) -> list[int]:
    """Where in ``text`` a word has just ended, in order."""
    return [match.end() for match in _WORDS.finditer(text)]


def bare_words(text: str) -> list[str]:
    """The words as they are compared: without case, and without the punctuation around and between them."""
    return _BARE.findall(text.casefold())


def count_words_sql(column: str) -> str:
    """``count_words`` as an expression of DuckDB's SQL.

    Args:
        column: expression of the text.
    """
    even = f"length({column}) - length(replace({column}, ' ', '')) + 1"
    each = f"len(regexp_extract_all({column}, '{_WORD}'))"
    return f"CASE WHEN regexp_matches({column}, '{_UNEVEN}') THEN {each} ELSE {even} END"
