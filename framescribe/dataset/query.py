"""SQL over a table of rows, answered by DuckDB, which can reach nothing but that table.

Expressions may be strangers' (a page's, a server's). DuckDB's own parser says what a statement is made of, and what
leaves the table is refused (``expressions.py``); the database lies in memory, without access to files, network,
extensions or Python's variables, locks this configuration, and is bounded in memory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from framescribe.dataset.expressions import ORDER_BY, TABLE, WHERE, bind, needed_columns, parsed, told
from framescribe.shown import shown

if TYPE_CHECKING:
    import duckdb
    import pyarrow

_MEMORY = "400MB"
_MOST_THREADS = 8
_BATCH_ROWS = 2048
_END = "\n"  # of a comment that an expression may end with
Batches = Callable[[Sequence[str]], Iterator["pyarrow.RecordBatch"]]


class QueryEngine:
    """Answers questions about one table.

    Args:
        schema: the table's columns.
        batches: reads some of its columns, all rows in order, as often as it is called.
    """

    def __init__(self, schema: pyarrow.Schema, batches: Batches) -> None:
        self._schema, self._batches = schema, batches

    def select(
        self,
        columns: Sequence[str],
        where: Sequence[str] = (),
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        *,
        grouped: bool = False,
    ) -> Iterator[pyarrow.RecordBatch]:
        """Rows in the table's order, or as sorted.

        Args:
            columns: which, or other expressions of ours.
            where: conditions that must all hold; anyone's.
            order_by: what to sort by, ``duration_s DESC, clip_id``; anyone's.
            limit: at most so many rows; None: all.
            offset: leave out so many of the first rows.
            grouped: one row for all that are alike in the columns that are no aggregates.

        Raises:
            UsageError: at once, an expression that is none; from the iterator, one that fails for some row.
        """
        check_expressions(self._schema, where, order_by)
        sql = f"SELECT {', '.join(columns)} FROM {TABLE}"
        if where:
            sql += f" WHERE {' AND '.join(f'({each}{_END})' for each in where)}"
        if grouped:
            sql += " GROUP BY ALL"
        if order_by is not None:
            sql += f" ORDER BY {order_by}{_END}"
        if limit is not None or offset:
            sql += f" LIMIT {'ALL' if limit is None else int(limit)} OFFSET {int(offset)}"
        texts = [f"`where` {shown(each)}" for each in where]
        if order_by is not None:
            texts.append(f"`order_by` {shown(order_by)}")
        return self.query(sql, ", ".join(texts))

    def query(self, sql: str, name: str | None = None) -> Iterator[pyarrow.RecordBatch]:
        """The answer to a SELECT statement over the table ``rows``.

        Args:
            sql: anyone's.
            name: what messages call it; None takes its text.

        Raises:
            UsageError: it is no such statement.
        """
        names = self._schema.names
        name = name or f"`sql` {shown(sql)}"
        with rows_database(_no_rows(self._schema)) as connection, told(name, names, sql):
            columns = needed_columns(parsed(sql, connection), names)
            bind(sql, connection)
        return self._answers(sql, columns, name)

    @contextmanager
    def database(self, columns: Sequence[str] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A database that has some columns of the table; reads it anew for each statement.

        Raises:
            UsageError: the rows cannot be read.
        """
        stream = _Stream(self._schema, columns or self._schema.names, self._batches)
        with rows_database(stream) as connection:
            try:
                yield connection
            except Exception:
                if stream.error is not None:
                    raise stream.error from None
                raise

    def _answers(self, sql: str, columns: list[str], name: str) -> Iterator[pyarrow.RecordBatch]:
        # A table has a column, even where none is asked for: their number is that of its rows.
        with self.database(columns or self._schema.names[:1]) as connection, told(name, self._schema.names):
            yield from connection.sql(sql).to_arrow_reader(_BATCH_ROWS)


def check_expressions(schema: pyarrow.Schema, where: Sequence[str], order_by: str | None) -> None:
    """Raises UsageError unless these are expressions over a table's columns, and nothing more.

    Args:
        schema: of the table.
        where: conditions; anyone's.
        order_by: what to sort by; anyone's.
    """
    with rows_database(_no_rows(schema)) as connection:
        for condition in where:
            WHERE.check(condition, connection, schema.names)
        if order_by is not None:
            ORDER_BY.check(order_by, connection, schema.names)


def _no_rows(schema: pyarrow.Schema) -> pyarrow.Table:
    import pyarrow as pa

    return pa.Table.from_batches([], schema)  # Schema.empty_table would import pandas


class _Stream:
    """Rows as DuckDB takes them, anew for each time that it reads them.

    Attributes:
        error: what stopped the reading, which DuckDB tells only in part.
    """

    def __init__(self, schema: pyarrow.Schema, columns: Sequence[str], batches: Batches) -> None:
        import pyarrow as pa

        self.error: BaseException | None = None
        self._schema = pa.schema([schema.field(name) for name in columns])
        self._batches = batches

    def __arrow_c_schema__(self) -> Any:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self._schema, self._read()).__arrow_c_stream__()

    def _read(self) -> Iterator[pyarrow.RecordBatch]:
        try:
            yield from self._batches(self._schema.names)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise


@contextmanager
def rows_database(table: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that has one table, and reaches nothing else.

    Args:
        table: what DuckDB can read as one.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="framescribe-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "threads": min(os.cpu_count() or 1, _MOST_THREADS),
            "temp_directory": folder,  # for what the memory does not hold
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "errors_as_json": True,
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            connection.register(TABLE, table)
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            yield connection
