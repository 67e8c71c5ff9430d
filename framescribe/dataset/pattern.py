"""Regular expressions of anyone's, by DuckDB's RE2: the time they take grows with the text, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence

from framescribe.dataset.expressions import told
from framescribe.dataset.query import rows_database
from framescribe.errors import UsageError
from framescribe.shown import shown_value

_BATCH = 1024
_MAX_MADE_CHARS = 1 << 27


def replace_pattern(texts: Sequence[str], pattern: str, by: str, ignores_case: bool) -> list[str]:
    r"""Texts with every match of a regular expression replaced.

    Args:
        texts: any number.
        pattern: in RE2's syntax.
        by: ``\1`` is what the first group matched.
        ignores_case: whether letters of either case match.

    Raises:
        UsageError: it is no regular expression, or the texts could become too long.
    """
    import pyarrow as pa

    if any((len(text) + 1) * (len(by) + 1) > _MAX_MADE_CHARS for text in texts):
        raise UsageError("the texts and what takes the place of a match are too long together")
    sql = "SELECT regexp_replace(text, $1, $2, $3) AS text FROM rows"
    found: list[str] = []
    for start in range(0, len(texts), _BATCH):
        table = pa.table({"text": pa.array(texts[start : start + _BATCH], pa.string())})
        name = f"the regular expression {shown_value(pattern)}"
        with rows_database(table) as connection, told(name, ["text"]):
            answer = connection.execute(sql, [pattern, by, "gi" if ignores_case else "g"])
            found.extend(row[0] for row in answer.fetchall())
    return found
