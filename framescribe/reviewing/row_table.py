"""The rows of a folder under review, in a database on disk that is made anew by each server.

What has come so far can be seen at once. Memory is bounded however many rows there are.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from framescribe.dataset.decided import decided_values
from framescribe.decision_row import RowKey

if TYPE_CHECKING:
    import duckdb
    import pyarrow

    from framescribe.dataset.decision_state import Decided

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


class RowTable:
    """Rows in a database of their own, each at a place that never changes. The view ``rows`` has what was decided, too.

    Args:
        schema: of the rows.

    Attributes:
        stored: columns of captions and their scores that are here.
        columns: what can be filtered and sorted by, with their types as SQL names them.
        shape: the same without types, in Arrow.
        loaded: rows that are there.
        generation: grows with every change of a row, a score or a decision.
    """

    shape: pyarrow.Schema
    columns: dict[str, str]

    def __init__(self, schema: pyarrow.Schema) -> None:
        import duckdb

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
        self._write, self.is_over = threading.Lock(), False
        self.loaded, self.generation = 0, 0
        self._make_tables(schema)

    def interrupt(self) -> None:
        """Ends what is being asked or filled."""
        self.is_over = True
        self._database.interrupt()

    def close(self) -> None:
        """Removes the database."""
        self.interrupt()
        with self._write:
            self._database.close()
        self._folder.cleanup()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own, to ask by."""
        cursor = self._database.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def _writing(self, given: object) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that alone writes, with a table ``given``; others see all that it does, or nothing.

        Raises:
            OSError: it cannot be written, such as on a full disk.
        """
        import duckdb

        with self.cursor() as cursor, self._write:
            cursor.register("given", given)
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except duckdb.Error as error:
                raise OSError(f"the review's own table: {str(error).splitlines()[0]}") from error
            finally:
                cursor.unregister("given")
                self.generation += 1

    def _make_tables(self, schema: pyarrow.Schema) -> None:
        import pyarrow as pa

        self.stored = [name for name in schema.names if name not in {*_LEFT_OUT, *DECIDED_COLUMNS}]
        empty = pa.Table.from_batches([], pa.schema([schema.field(name) for name in self.stored]))
        with self._writing(empty) as cursor:
            cursor.execute(f"CREATE TABLE base AS SELECT 0::BIGINT AS place, {_CLIP_HASH}, * FROM given")
        decided = ", ".join(f"{name} {kind}" for name, kind in DECIDED_COLUMNS.items())
        self._database.execute(f"CREATE TABLE decided (place BIGINT, {decided})")
        self._database.execute("SET enable_external_access = false; SET lock_configuration = true")
        self._make_view(self._database)

    def _make_view(self, database: duckdb.DuckDBPyConnection) -> None:
        import pyarrow as pa

        database.execute(
            "CREATE OR REPLACE VIEW rows AS SELECT base.* EXCLUDE (clip_hash), decided.* EXCLUDE (place) "
            "REPLACE (coalesce(tags, []) AS tags, coalesce(decision_is_stale, false) AS decision_is_stale) "
            "FROM base LEFT JOIN decided USING (place)"
        )
        described = database.execute("DESCRIBE rows").fetchall()
        self.columns = {name: kind for name, kind, *_ in described if name != "place"}
        self.shape = pa.schema([(name, pa.null()) for name in self.columns])

    def append(self, batches: Iterator[pyarrow.RecordBatch], most: int = _CHUNK_ROWS) -> int:
        """Takes about ``most`` rows of the stored columns, without holding them all at once; how many there were."""
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
                if self.is_over or taken - start >= most:
                    break

        schema = pa.schema([("place", pa.int64()), *first.schema])
        with self._writing(pa.RecordBatchReader.from_batches(schema, numbered())) as cursor:
            cursor.execute(f"INSERT INTO base SELECT place, {_CLIP_HASH}, * EXCLUDE (place) FROM given")
            self.loaded = taken
        pa.default_memory_pool().release_unused()
        return taken - start

    def renew(self, table: pyarrow.Table) -> None:
        """Takes rows that were captioned meanwhile, in place of those of the same keys; without their scores.

        Args:
            table: of any of the stored columns, each key once.
        """
        names = ", ".join(map(quoted, table.schema.names))
        with self._writing(table) as cursor:
            cursor.execute(
                "CREATE TEMP TABLE fresh AS SELECT base.place, given.* FROM given LEFT JOIN base USING "
                "(clip_id, prompt_index)"
            )
            cursor.execute("DELETE FROM base WHERE place IN (SELECT place FROM fresh)")
            cursor.execute(
                f"INSERT INTO base (place, clip_hash, {names}) SELECT coalesce(place, {self.loaded} - 1 + "
                f"row_number() OVER (PARTITION BY place IS NULL)), {_CLIP_HASH}, {names} FROM fresh"
            )
            (new,) = cursor.execute("SELECT count(*) FROM fresh WHERE place IS NULL").fetchone() or (0,)
            cursor.execute("DROP TABLE fresh")
            self.loaded += int(new)

    def score(self, table: pyarrow.Table) -> None:
        """Takes scores of clips in the place of what they had.

        Args:
            table: ``clip_id``, and a column for each score, of which none has the name of another column.
        """
        scores = [name for name in table.schema.names if name != "clip_id"]
        with self._writing(table) as cursor:
            if added := [name for name in scores if name not in self.columns]:
                for name in added:
                    cursor.execute(f"ALTER TABLE base ADD COLUMN {quoted(name)} DOUBLE")
                self.stored += added
                self._make_view(cursor)
            values = ", ".join(f"{quoted(name)} = given.{quoted(name)}" for name in scores)
            cursor.execute(
                f"UPDATE base SET {values} FROM given "
                "WHERE clip_hash = hash(given.clip_id) AND base.clip_id = given.clip_id"
            )

    def decide(self, states: Mapping[RowKey, Decided]) -> None:
        """Takes what now counts for rows."""
        import pyarrow as pa

        keys = pa.table({"clip_id": [key[0] for key in states], "prompt_index": [key[1] for key in states]})
        with self._writing(keys) as cursor:
            cursor.execute(
                "SELECT clip_id, prompt_index, place, caption FROM given JOIN base USING (clip_id, prompt_index)"
            )
            found = [
                {"place": place, **decided_values(states[clip_id, index], caption)}
                for clip_id, index, place, caption in cursor.fetchall()
            ]
        if not found:
            return
        columns = ("place", *DECIDED_COLUMNS)
        with self._writing(pa.table({name: [row[name] for row in found] for name in columns})) as cursor:
            cursor.execute("DELETE FROM decided WHERE place IN (SELECT place FROM given)")
            cursor.execute(f"INSERT INTO decided SELECT {', '.join(columns)} FROM given")


def quoted(name: str) -> str:
    """A column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
