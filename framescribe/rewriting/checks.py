"""What is wrong with an answer, in words that the model is told."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

from framescribe.quality.checks import check
from framescribe.quality.flags import DEFECTS
from framescribe.quality.openers import has_opener
from framescribe.quality.words import count_words
from framescribe.rewriting.facts import added, lost
from framescribe.rewriting.language import is_in
from framescribe.rewriting.recipe import Recipe, data
from framescribe.rewriting.schema import problem_of
from framescribe.shown import shorten, shown

_MAX_SHOWN = 200
_MAX_MESSAGE_CHARS = 600
_MAX_ANSWER_CHARS = 20_000  # no caption is so long
_NO_TEXT = {"Cc", "Co", "Cs"}  # control characters, and code points that are no characters


class Unfit(ValueError):
    """An answer that is not taken; the message begins with the name of the check that failed."""

    def __init__(self, message: str) -> None:
        super().__init__(shorten(shown(message), _MAX_MESSAGE_CHARS))


def fitting(answer: str, caption: str, recipe: Recipe) -> str:
    """The rewritten caption that an answer holds: text, or JSON on one line.

    Args:
        answer: of the model, whole.
        caption: that it rewrites.
        recipe: by which.

    Raises:
        Unfit: it fails a check.
    """
    text = _bare(answer)
    if not text:
        raise Unfit("empty: it has no text")
    if len(text) > _MAX_ANSWER_CHARS:
        raise Unfit(f"length: it has {len(text):,} characters")
    if recipe.schema is None:
        _check_prose(text, recipe)
        told = text
    else:
        try:
            value = _fitting_json(text, recipe.schema)
            text, told = json.dumps(value, ensure_ascii=False), "\n".join(_texts(value))
        except RecursionError:
            raise Unfit("json: it is nested too deeply") from None
    if any(unicodedata.category(each) in _NO_TEXT and not each.isspace() for each in {*told, *text}):
        raise Unfit("non_text: it holds characters that are no text")
    if recipe.language is not None and not is_in(told, recipe.language):
        raise Unfit(f"language: it is not in {data()['languages'][recipe.language]['name']}")
    for fact in recipe.keep:
        if missing := lost(fact, caption, told, recipe.language in (None, "en")):
            raise Unfit(f"lost {fact}: it leaves out {_listed(missing)}")
    for fact in recipe.no_new:
        if new := added(fact, caption, told):
            raise Unfit(f"new {fact}: the caption does not say {_listed(new)}")
    return text


def _check_prose(text: str, recipe: Recipe) -> None:
    if (words := count_words(text)) > recipe.max_words:
        raise Unfit(f"words: it has {words} words, and at most {recipe.max_words} are allowed")
    if has_opener(text) or text.casefold().startswith(recipe.openers):
        raise Unfit(f"opener: it must not begin with {shorten(text, 30)!r}")
    if flags := [flag for flag in check(text) if flag in DEFECTS]:
        raise Unfit(f"{flags[0]}: it is no whole, readable text")


def _bare(answer: str) -> str:
    """The answer without what models put around it: their thoughts, a code fence, one pair of quotation marks."""
    _, thought, rest = answer.partition("</think>")
    text = (rest if thought and answer.lstrip().startswith("<think>") else answer).strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].partition("\n")[2].strip()
    if len(text) > 1 and text[0] + text[-1] in ('""', "“”") and not set(text[1:-1]) & set('"“”'):
        text = text[1:-1].strip()
    return text


def _fitting_json(text: str, schema: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refused)
        # 1e999 becomes an infinity, and a lone \ud800 half a character, which no file of rows holds.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise Unfit(f"json: it is no JSON: {error}") from None
    if (problem := problem_of(value, schema)) is not None:
        raise Unfit(f"schema: {problem}")
    return value


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _texts(value: Any) -> Iterator[str]:
    """All texts and numbers of a JSON value, without its keys."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield str(value)


def _listed(found: set[str]) -> str:
    return shorten(", ".join(sorted(found)), _MAX_SHOWN)
