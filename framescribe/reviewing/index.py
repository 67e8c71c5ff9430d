"""The rows of a folder as the page asks for them: searched, filtered, sorted and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from framescribe.reviewing.questions import limited, places_sql, told_as
from framescribe.reviewing.row_table import RowTable, quoted

if TYPE_CHECKING:
    import numpy as np

Row = dict[str, Any]


class RowIndex:
    """Answers about rows.

    Args:
        table: that holds them.
    """

    def __init__(self, table: RowTable) -> None:
        self._table = table

    def find(self, search: str, where: Sequence[str], order: str) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Places of rows, in order.

        Args:
            search: words that all stand in the caption as it is now, the file's name or a tag, whatever their case.
            where: SQL conditions that must all hold; anyone's.
            order: a name of ``questions.ORDERS``, or SQL to sort by; anyone's.

        Raises:
            UsageError: they cannot be answered.
        """
        sql = places_sql(self._table.shape, search, where, order)
        with self._table.cursor() as cursor, limited(cursor), told_as(where, order):
            places: np.ndarray[Any, np.dtype[np.int32]] = cursor.execute(sql).fetchnumpy()["place"]
        return places

    def rows(self, places: Sequence[int], columns: Sequence[str] | None = None) -> list[Row]:
        """The rows at places, whole or some columns, in their order; those that are gone are left out."""
        if not places:
            return []
        names = "*" if columns is None else ", ".join(map(quoted, ("place", *columns)))
        with self._table.cursor() as cursor:
            cursor.execute(
                f"SELECT {names} FROM rows WHERE place IN ({', '.join(map(str, map(int, places)))})"
            )
            described = [each[0] for each in cursor.description]
            found = {row[0]: dict(zip(described, row, strict=True)) for row in cursor.fetchall()}
        return [found[place] for place in places if place in found]

    def places_of(self, clip_ids: Sequence[str]) -> list[int]:
        """The places of all rows of some clips, in order."""
        with self._table.cursor() as cursor:
            found = cursor.execute(
                "SELECT place FROM base WHERE clip_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY place",
                [list(clip_ids)],
            ).fetchall()
        return [place for (place,) in found]

    def of_clip(self, clip_id: str, columns: Sequence[str] | None = None) -> list[Row]:
        """All rows of a clip by their prompts, whole or some columns of them."""
        with self._table.cursor() as cursor:
            # First their places, as numbers that are known find rows much faster than a question within a question.
            found = cursor.execute(
                "SELECT place FROM base WHERE clip_hash = hash(?) AND clip_id = ? LIMIT 100",
                [clip_id, clip_id],
            ).fetchall()
        rows = self.rows([place for (place,) in found], columns)
        return sorted(rows, key=lambda row: int(row["prompt_index"]))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows have each status, flag, decision and tag."""
        parts = {
            "caption_status": "SELECT caption_status, count(*) FROM rows GROUP BY ALL",
            "flags": "SELECT name, count(*) FROM (SELECT unnest(flags) AS name FROM rows) GROUP BY ALL",
            "decision": "SELECT CASE WHEN decision_is_stale THEN 'stale' ELSE coalesce(decision, 'none') END AS is, "
            "count(*) FROM rows GROUP BY ALL",
            "tags": "SELECT name, count(*) AS n FROM (SELECT unnest(tags) AS name FROM rows) GROUP BY ALL "
            "ORDER BY n DESC LIMIT 50",
        }
        with self._table.cursor() as cursor:
            return {name: dict(cursor.execute(sql).fetchall()) for name, sql in parts.items()}
