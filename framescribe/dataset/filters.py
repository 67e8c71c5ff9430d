"""Rows chosen by what their columns hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from framescribe.errors import UsageError

Row = Mapping[str, Any]


def chosen_rows(rows: Iterable[Row], where: Iterable[str]) -> Iterator[Row]:
    """The rows for which every condition holds.

    Args:
        rows: columns by name.
        where: conditions, ``COLUMN~TEXT`` (the column contains the text) or ``COLUMN=TEXT`` (it equals it).

    Raises:
        UsageError: a condition is of neither form, or there is no such column.
    """
    tests = [_test(condition) for condition in where]
    return (row for row in rows if all(test(row) for test in tests))


def _test(condition: str) -> Callable[[Row], bool]:
    """Whichever mark comes first counts."""
    marks = [at for mark in "~=" if (at := condition.find(mark)) > 0]
    if not marks:
        raise UsageError(f"`where` takes COLUMN~TEXT or COLUMN=TEXT, not {condition!r}")
    column, mark, wanted = condition[: min(marks)], condition[min(marks)], condition[min(marks) + 1 :]

    def test(row: Row) -> bool:
        if column not in row:
            raise UsageError(f"`where` {condition}: there is no column {column}; there are {', '.join(row)}")
        value = "" if row[column] is None else str(row[column])
        return wanted in value if mark == "~" else wanted == value

    return test
