"""The rows of a folder as the page asks for them: searched, filtered, sorted and counted in a database on disk.

It is made anew by each server, in a temporary folder, and filled on a thread: what has come so far can be seen at once.
Rows that are captioned meanwhile are added. Its memory is bounded however many rows there are.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framescribe.dataset.dataset import Dataset
from framescribe.dataset.decided import decided_values
from framescribe.decision_row import RowKey
from framescribe.errors import UsageError
from framescribe.reviewing.questions import limited, places_sql, told_as

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow

    from framescribe.dataset.decision_state import Decided
    from framescribe.decisions.decisions import Decisions

Row = dict[str, Any]
DECIDED_COLUMNS = {
    "decision": "VARCHAR", "decision_reason": "VARCHAR", "edited_caption": "VARCHAR", "tags": "VARCHAR[]",
    "reviewer": "VARCHAR", "decided_at": "VARCHAR", "decision_is_stale": "BOOLEAN",
}  # fmt: skip
"""Columns that decisions add to a row, with their types in SQL."""
_LEFT_OUT = {"caption_raw"}
"""What no one filters by and takes as much room as the captions."""
_MEMORY = "200MB"
_CHUNK_ROWS = 122_880  # DuckDB's row group: so many go straight to the disk
_CLIP_HASH = "hash(clip_id) AS clip_hash"
"""Rows of a clip are found by a number, as texts take long to compare."""


class RowIndex:
    """Rows in a database of their own, each at a place that never changes.

    Args:
        dataset: whose rows.
        decisions: what was decided on them.

    Attributes:
        stored: columns of rows that are here.
        columns: what can be filtered and sorted by, with their types as SQL names them.
        loaded: rows that are there.
        is_complete: whether all have come.
        problem: why the rest cannot come, if so.
        generation: grows with every change of a row or a decision.
    """

    def __init__(self, dataset: Dataset, decisions: Decisions) -> None:
        import duckdb

        self._dataset, self._decisions = dataset, decisions
        self._folder = tempfile.TemporaryDirectory(prefix="framescribe-review-")
        path = Path(self._folder.name)
        self._database = duckdb.connect(
            path / "rows.duckdb",
            config={
                "memory_limit": _MEMORY,
                "threads": 2,
                "temp_directory": str(path),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
                "preserve_insertion_order": True,
            },
        )
        self._write, self._is_over = threading.Lock(), False
        self.loaded, self.is_complete, self.generation = 0, False, 0
        self.problem: str | None = None
        self._make_tables()

    def interrupt(self) -> None:
        """Ends what is being asked or filled."""
        self._is_over = True
        self._database.interrupt()

    def close(self) -> None:
        """Removes the database."""
        self.interrupt()
        with self._write:
            self._database.close()
        self._folder.cleanup()

    def _make_tables(self) -> None:
        schema = self._dataset.schema
        names = [name for name in schema.names if name not in _LEFT_OUT]
        self.stored = [name for name in names if name not in DECIDED_COLUMNS]
        import pyarrow as pa

        empty = pa.Table.from_batches([], pa.schema([schema.field(name) for name in self.stored]))
        database = self._database
        database.register("given", empty)
        database.execute(f"CREATE TABLE base AS SELECT 0::BIGINT AS place, {_CLIP_HASH}, * FROM given")
        database.unregister("given")
        decided = ", ".join(f"{name} {kind}" for name, kind in DECIDED_COLUMNS.items())
        database.execute(f"CREATE TABLE decided (place BIGINT, {decided})")
        database.execute(
            "CREATE VIEW rows AS SELECT base.* EXCLUDE (clip_hash), decided.* EXCLUDE (place) "
            "REPLACE (coalesce(tags, []) AS tags, coalesce(decision_is_stale, false) AS decision_is_stale) "
            "FROM base LEFT JOIN decided USING (place)"
        )
        database.execute("SET enable_external_access = false; SET lock_configuration = true")
        described = database.execute("DESCRIBE rows").fetchall()
        self.columns = {name: kind for name, kind, *_ in described if name != "place"}
        kinds = pa.schema([(name, pa.null()) for name in self.columns])
        self._shape = pa.Table.from_batches([], kinds)

    # filling

    def load(self) -> None:
        """Reads all rows, the first of them at once, then their decisions; returns when they are there."""
        try:
            batches = self._dataset.batches(self.stored)
            for most in itertools.chain((1,), itertools.repeat(_CHUNK_ROWS)):
                if self._is_over or not self._append(batches, most):
                    break
            self.decided(self._decisions.state())
        except (UsageError, OSError) as error:
            self.problem = str(error)
        self.is_complete = True

    def _append(self, batches: Iterator[pyarrow.RecordBatch], most: int) -> int:
        """Takes about ``most`` rows, without holding them all at once; how many there were."""
        import pyarrow as pa

        first = next(batches, None)
        if first is None:
            return 0
        start = taken = self.loaded

        def numbered() -> Iterator[pyarrow.RecordBatch]:
            nonlocal taken
            for batch in itertools.chain((first,), batches):
                places = pa.array(range(taken, taken + len(batch)), pa.int64())
                taken += len(batch)
                yield batch.add_column(0, "place", places)
                if self._is_over or taken - start >= most:
                    break

        schema = pa.schema([("place", pa.int64()), *first.schema])
        with self._cursor() as cursor, self._write:
            cursor.register("given", pa.RecordBatchReader.from_batches(schema, numbered()))
            cursor.execute(f"INSERT INTO base SELECT place, {_CLIP_HASH}, * EXCLUDE (place) FROM given")
            cursor.unregister("given")
            self.loaded = taken
            self.generation += 1
        pa.default_memory_pool().release_unused()
        return taken - start

    def renew(self, table: pyarrow.Table) -> int:
        """Takes rows that were captioned meanwhile, in place of those of the same keys; how many are new.

        Args:
            table: of any of the stored columns, each key once.
        """
        with self._cursor() as cursor, self._write:
            cursor.register("given", table)
            names = ", ".join(f'"{name}"' for name in table.schema.names)
            cursor.execute(
                "CREATE TEMP TABLE fresh AS SELECT base.place, given.* FROM given LEFT JOIN base USING "
                "(clip_id, prompt_index)"
            )
            cursor.unregister("given")
            cursor.execute("DELETE FROM base WHERE place IN (SELECT place FROM fresh)")
            cursor.execute(
                f"INSERT INTO base (place, clip_hash, {names}) SELECT coalesce(place, {self.loaded} - 1 + "
                f"row_number() OVER (PARTITION BY place IS NULL)), {_CLIP_HASH}, {names} FROM fresh"
            )
            (new,) = cursor.execute("SELECT count(*) FROM fresh WHERE place IS NULL").fetchone() or (0,)
            cursor.execute("DROP TABLE fresh")
            self.loaded += new
            self.generation += 1
        self.decided({key: state for key, state in self._decisions.state().items() if key in _keys(table)})
        return int(new)

    def decided(self, states: Mapping[RowKey, Decided]) -> None:
        """Takes what now counts for rows."""
        if not states:
            return
        import pyarrow as pa

        keys = pa.table({"clip_id": [key[0] for key in states], "prompt_index": [key[1] for key in states]})
        with self._cursor() as cursor, self._write:
            cursor.register("given", keys)
            cursor.execute(
                "SELECT clip_id, prompt_index, place, caption FROM given JOIN base USING (clip_id, prompt_index)"
            )
            found = [
                {"place": place, **decided_values(states[clip_id, index], caption)}
                for clip_id, index, place, caption in cursor.fetchall()
            ]
            cursor.unregister("given")
            if found:
                columns = ("place", *DECIDED_COLUMNS)
                cursor.register("given", pa.table({name: [row[name] for row in found] for name in columns}))
                cursor.execute("DELETE FROM decided WHERE place IN (SELECT place FROM given)")
                cursor.execute(f"INSERT INTO decided SELECT {', '.join(columns)} FROM given")
                cursor.unregister("given")
            self.generation += 1

    # asking

    def find(self, search: str, where: Sequence[str], order: str) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Places of rows, in order.

        Args:
            search: words that all stand in the caption as it is now, the file's name or a tag, whatever their case.
            where: SQL conditions that must all hold; anyone's.
            order: a name of ``questions.ORDERS``, or SQL to sort by; anyone's.

        Raises:
            UsageError: they cannot be answered.
        """
        sql = places_sql(self._shape.schema, search, where, order)
        with self._cursor() as cursor, limited(cursor), told_as(where, order):
            places: np.ndarray[Any, np.dtype[np.int32]] = cursor.execute(sql).fetchnumpy()["place"]
        return places

    def rows(self, places: Sequence[int], columns: Sequence[str]) -> list[Row]:
        """The rows at places, in their order; those that are gone are left out."""
        if not places:
            return []
        names = ", ".join(f'"{name}"' for name in ("place", *columns))
        with self._cursor() as cursor:
            cursor.execute(
                f"SELECT {names} FROM rows WHERE place IN ({', '.join(map(str, map(int, places)))})"
            )
            described = [each[0] for each in cursor.description]
            found = {row[0]: dict(zip(described, row, strict=True)) for row in cursor.fetchall()}
        return [found[place] for place in places if place in found]

    def of_clip(self, clip_id: str) -> list[Row]:
        """All rows of a clip, whole, by their prompts."""
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT * FROM rows WHERE place IN (SELECT place FROM base WHERE clip_hash = hash(?) AND clip_id = ?) "
                "ORDER BY prompt_index LIMIT 100",
                [clip_id, clip_id],
            )
            described = [each[0] for each in cursor.description]
            return [dict(zip(described, row, strict=True)) for row in cursor.fetchall()]

    def undecided_pair(self, after: int) -> list[Row] | None:
        """The first two rows of one clip, of two prompts, behind a place, on neither of which anything was decided."""
        sql = (
            "SELECT a.place, b.place FROM rows a JOIN rows b "
            "ON a.clip_id = b.clip_id AND a.prompt_index < b.prompt_index "
            "WHERE a.place > ? AND a.decision IS NULL AND b.decision IS NULL AND a.caption IS NOT NULL "
            "AND b.caption IS NOT NULL ORDER BY a.place LIMIT 1"
        )
        with self._cursor() as cursor:
            places = cursor.execute(sql, [after]).fetchone()
        columns = ("clip_id", "prompt_index", "source_video", "caption")
        return None if places is None else self.rows(list(places), columns)

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
        with self._cursor() as cursor:
            return {name: dict(cursor.execute(sql).fetchall()) for name, sql in parts.items()}

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._database.cursor()
        try:
            yield cursor
        finally:
            cursor.close()


def _keys(table: pyarrow.Table) -> set[RowKey]:
    return set(zip(table["clip_id"].to_pylist(), table["prompt_index"].to_pylist(), strict=True))
