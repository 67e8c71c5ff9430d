"""Whether a text is in a language, by its script and its frequent words; short texts are judged by script alone."""

from __future__ import annotations

import unicodedata
from collections import Counter

from framescribe.quality.words import bare_words
from framescribe.rewriting.facts import QUOTED
from framescribe.rewriting.recipe import data

_LEAST_SHARE = 0.7  # of letters: names may stand in another script
_LEAST_WORDS, _LEAST_FREQUENT = 8, 0.08


def is_in(text: str, language: str) -> bool:
    """Whether a text, but for what it quotes, is in a language of ``presets.toml``."""
    languages = data()["languages"]
    wanted, unquoted = languages[language], QUOTED.sub(" ", text)
    letters = Counter(_script(each) for each in unquoted if each.isalpha())
    if not letters or sum(letters[script] for script in wanted["scripts"]) < _LEAST_SHARE * letters.total():
        return False
    if "needs" in wanted and not letters[wanted["needs"]]:
        return False
    words = bare_words(unquoted)
    if "words" not in wanted or len(words) < _LEAST_WORDS:
        return True
    frequent = {
        code: sum(word in each["words"].split() for word in words)
        for code, each in languages.items()
        if "words" in each
    }
    return frequent[language] == max(frequent.values()) >= _LEAST_FREQUENT * len(words)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0]
