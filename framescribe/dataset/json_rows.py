"""Rows as JSON lines, which anyone may have written: each is a row of plain values, or it is said what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from math import isnan
from typing import IO, Any

from framescribe.reading import MAX_LINE_BYTES, text_lines
from framescribe.shown import shown, shown_value
from framescribe.types import CaptionRow

Row = dict[str, Any]

_KINDS = {"float": (float, int), "int": (int,), "str": (str,), "bool": (bool,)}


def json_rows(file: IO[bytes], name: str) -> Iterator[tuple[int, Row, str | None]]:
    """Line number, row, and what is wrong with it (None: nothing); blank lines are passed over.

    NaN, which JSON has not and Python's writers use for what is missing, is read as null.

    Raises:
        UsageError: the file is UTF-16 or UTF-32.
    """
    for number, line in enumerate(text_lines(file, name), start=1):
        if line is None:
            yield number, {}, f"is longer than {MAX_LINE_BYTES >> 20} MiB"
        elif not line.isspace():
            row, problem = _parse(line)
            yield number, row, problem or wrong_value(row)


def _parse(line: bytes) -> tuple[Row, str | None]:
    try:
        row = json.loads(line.decode("utf-8"))
    except RecursionError:
        return {}, "is nested too deeply"
    except ValueError as error:
        return {}, f"is not JSON: {shown(str(error))}"
    if not isinstance(row, dict):
        return {}, f"is no JSON object but {shown_value(row)}"
    return {
        key: None if isinstance(value, float) and isnan(value) else value for key, value in row.items()
    }, None


def wrong_value(row: Mapping[str, Any]) -> str | None:
    """What is wrong with a value of a known column; None if nothing is. Null stands for any value."""
    kinds = _column_kinds()
    for name, value in row.items():
        if value is None or name not in kinds:
            continue
        kind, allowed = kinds[name]
        is_list = kind.startswith("tuple")
        values = value if is_list and type(value) is list else (value,)
        if is_list is not (type(value) is list) or not all(_is_of(each, allowed) for each in values):
            return f"{name} is {shown_value(value)}, not {'a list of ' * is_list}{allowed[0].__name__}"
    return None


def _is_of(value: Any, allowed: tuple[type, ...]) -> bool:
    return type(value) in allowed and (type(value) is not int or -(2**63) <= value < 2**63)


@cache
def _column_kinds() -> dict[str, tuple[str, tuple[type, ...]]]:
    kinds: dict[str, tuple[str, tuple[type, ...]]] = {}
    for name, annotation in CaptionRow.__annotations__.items():
        kind = annotation.removesuffix(" | None")
        inner = kind.removeprefix("tuple[").removesuffix(", ...]")
        kinds[name] = kind, _KINDS.get(inner, (str,))  # a choice of strings is none of the plain kinds
    return kinds
