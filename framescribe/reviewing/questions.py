"""What people look for on the page, as SQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from framescribe.dataset.query import check_expressions
from framescribe.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pyarrow

_LONGEST_QUERY_S = 30.0
_NEEDS_ME = (
    "(decision IS NULL OR decision_is_stale) DESC, (caption_status <> 'success') DESC, "
    "coalesce(len(flags), 0) DESC"
)
ORDERS = {"": "", "needs": _NEEDS_ME}
"""Orders with a name; all others are SQL."""


def places_sql(columns: pyarrow.Schema, search: str, where: Sequence[str], order: str) -> str:
    """The statement that gives the places of rows, in order.

    Args:
        columns: that conditions may name.
        search, where, order: as ``RowIndex.find`` takes them.

    Raises:
        UsageError: they are no expressions over these columns.
    """
    sorted_by = ORDERS.get(order, order)
    check_expressions(columns, where, None if order in ORDERS else order)
    conditions = [f"({each}\n)" for each in where]
    conditions += map(_search_sql, search.encode("utf-8", "replace").decode().split())
    sql = "SELECT place::INTEGER AS place FROM rows"
    sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return sql + (f" ORDER BY {sorted_by}\n, rows.place" if sorted_by else " ORDER BY rows.place")


@contextmanager
def limited(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupts what takes too long."""
    timer = threading.Timer(_LONGEST_QUERY_S, cursor.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def told_as(where: Sequence[str], order: str) -> Iterator[None]:
    """Turns DuckDB's errors into one line."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException as error:
        raise UsageError(f"the query takes more than {_LONGEST_QUERY_S:g} s") from error
    except duckdb.Error as error:
        raise UsageError(f"{', '.join([*where, order])}: {str(error).splitlines()[0][:500]}") from error


def _search_sql(word: str) -> str:
    """Whether a word stands in what a row says now, whatever its case.

    The word becomes a regular expression with every character of it but letters and digits by its number: nothing in
    it is SQL, and DuckDB sees a constant, for which it searches much faster than for a parameter in lower case.
    """
    literal = "".join(each if each.isascii() and each.isalnum() else f"\\x{{{ord(each):x}}}" for each in word)
    columns = ("coalesce(edited_caption, caption)", "source_video", "clip_id", "array_to_string(tags, ' ')")
    return "(" + " OR ".join(f"regexp_matches({column}, '(?i){literal}')" for column in columns) + ")"
