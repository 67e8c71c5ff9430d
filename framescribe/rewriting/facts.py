"""What a text says that a program can name: numbers, quoted text; in English also names and colours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from framescribe.quality.words import bare_words
from framescribe.rewriting.recipe import Fact, data

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(data()["facts"]["numbers"].split(), 2)}
QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|「([^」]+)」|『([^』]+)』|„([^“”]+)[“”]")
_COLOURS = frozenset(data()["facts"]["colours"].split())
_SAME = {"grey": "gray", "golden": "gold"}
# A capital that begins no sentence, quotation or line.
_NAME = re.compile(r"(?<=[\w,;)’'] )(?!I\b)[A-Z][\w’-]*\w")


def numbers(text: str, with_words: bool = True) -> set[str]:
    """Numbers in digits, and English ones from two to twelve in words."""
    found = {
        re.sub(r",(?=\d{3}\b)", "", each) for each in _NUMBER.findall(unicodedata.normalize("NFKC", text))
    }
    if with_words:
        found |= {_NUMBER_WORDS[word] for word in bare_words(text) if word in _NUMBER_WORDS}
    return found


def names(text: str) -> set[str]:
    """Words that have a capital and begin no sentence, in lower case."""
    return {word for each in _NAME.findall(_unquoted(text)) for word in _words(each)}


def quotes(text: str) -> set[str]:
    """What stands in quotation marks, in lower case and without the punctuation of its end."""
    found = (next(filter(None, match.groups())) for match in QUOTED.finditer(text))
    return {" ".join(each.casefold().split()).strip(".,;:!? ") for each in found} - {""}


def colours(text: str) -> set[str]:
    """English names of colours."""
    words = (_SAME.get(word, word) for each in bare_words(text) for word in each.split("-"))
    return set(_COLOURS.intersection(words))


_FINDERS: Mapping[Fact, Callable[[str], set[str]]] = {
    "numbers": numbers, "names": names, "quotes": quotes, "colours": colours,
}  # fmt: skip


def lost(fact: Fact, caption: str, answer: str, in_english: bool) -> set[str]:
    """Facts of a caption that an answer has not.

    Args:
        fact: which.
        caption, answer: what is compared.
        in_english: whether number words of the answer can be read; otherwise only digits are asked for.
    """
    if fact == "numbers":
        return numbers(caption, in_english) - numbers(answer)
    return {each for each in _FINDERS[fact](caption) if not _has(fact, answer, each)}


def added(fact: Fact, caption: str, answer: str) -> set[str]:
    """Facts of an answer that the caption has not."""
    if fact == "numbers":
        return numbers(answer) - numbers(caption)
    return {each for each in _FINDERS[fact](answer) if not _has(fact, caption, each)}


def _has(fact: Fact, text: str, found: str) -> bool:
    if fact == "quotes":
        return found in " ".join(text.casefold().split())
    return found in (colours(text) if fact == "colours" else _words(text))


def _words(text: str) -> set[str]:
    return {re.sub("[’']s$", "", word) for word in bare_words(text)}


def _unquoted(text: str) -> str:
    return QUOTED.sub(" ", text)
