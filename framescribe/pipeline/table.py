"""Caption rows as Arrow tables: the one place that knows their Parquet types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from framescribe.types import CaptionRow

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 4096
"""Rows that are in memory at a time."""


def row_schema() -> pyarrow.Schema:
    """Columns and types of ``CaptionRow``, in its order."""
    import pyarrow as pa

    kinds = {
        "float": pa.float64(), "int": pa.int64(), "str": pa.string(), "bool": pa.bool_(),
        "tuple[int, ...]": pa.list_(pa.int64()), "tuple[float, ...]": pa.list_(pa.float64()),
        "tuple[str, ...]": pa.list_(pa.string()),
    }  # fmt: skip
    # The annotations are the schema; anything that is none of the plain kinds is a choice of strings.
    return pa.schema(
        [
            (name, kinds.get(kind.removesuffix(" | None"), pa.string()))
            for name, kind in CaptionRow.__annotations__.items()
        ]
    )


def row_table(rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """A table of rows in plain values (``CaptionRow.to_dict``); strings that are no UTF-8 stay readable as escapes."""
    import pyarrow as pa

    return pa.Table.from_pylist(
        [{name: _as_utf8(value) for name, value in row.items()} for row in rows], row_schema()
    )


def _as_utf8(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
