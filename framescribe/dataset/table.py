"""Caption rows as Arrow tables: the one place that knows their Parquet types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
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


def fitted(batch: pyarrow.RecordBatch, columns: Sequence[str] | None) -> pyarrow.RecordBatch:
    """A batch of any file with the types of ``row_schema`` where it has such columns; others stay as they are.

    Args:
        batch: of any file.
        columns: the wanted ones, nulls where the batch has none; None takes those of the batch.

    Raises:
        UsageError: a known column holds something else.
    """
    import pyarrow as pa

    schema = row_schema()
    arrays = []
    names = batch.schema.names if columns is None else columns
    for name in names:
        kind = schema.field(name).type if name in schema.names else None
        if name not in batch.schema.names:
            arrays.append(pa.nulls(len(batch), kind or pa.null()))
            continue
        array = batch[name]
        if kind is not None and array.type != kind:
            if not _is_alike(array.type, kind):
                raise UsageError(f"column {name} holds {array.type}, not {kind}")
            array = array.cast(kind)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, list(names))


def _is_alike(found: pyarrow.DataType, wanted: pyarrow.DataType) -> bool:
    """Whether another writer may have spelled ``wanted`` so; text is never read as a number."""
    from pyarrow import types

    if types.is_null(found):
        return True
    if types.is_dictionary(found):
        return _is_alike(found.value_type, wanted)
    if types.is_list(wanted):
        is_list = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
        return is_list and _is_alike(found.value_type, wanted.value_type)
    spellings = (
        ((types.is_string,), (types.is_string, types.is_large_string, types.is_string_view)),
        ((types.is_boolean,), (types.is_boolean,)),
        ((types.is_integer,), (types.is_integer,)),
        ((types.is_floating,), (types.is_floating, types.is_integer)),
    )
    return any(
        any(is_it(wanted) for is_it in ours) and any(is_it(found) for is_it in theirs)
        for ours, theirs in spellings
    )
