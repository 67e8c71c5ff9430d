"""What a table holds: its columns with their types, its key, and the version of their meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from framescribe.caption_row import CaptionRow
from framescribe.decision_row import DECISION_SCHEMA_VERSION, DecisionRow
from framescribe.errors import UsageError
from framescribe.feature_row import FEATURE_SCHEMA_VERSION, FeatureRow
from framescribe.rewrite_row import REWRITE_SCHEMA_VERSION, RewriteRow
from framescribe.score_row import SCORE_SCHEMA_VERSION, ScoreRow
from framescribe.shown import shown_value
from framescribe.types import SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 4096
"""Rows that are in memory at a time."""

VERSION_COLUMN = "schema_version"
_IsType = Callable[[Any], bool]
_PLAIN_TYPES: dict[str, tuple[type, ...]] = {
    "float": (float, int), "int": (int,), "str": (str,), "bool": (bool,), "bytes": (bytes,),
}  # fmt: skip


@dataclass(frozen=True)
class TableSchema:
    """The schema of a table of a dataset.

    Attributes:
        name: the folder of its shards within the dataset's folder.
        row: a dataclass; its annotations are the columns, of the plain types, tuples of these, or choices of strings.
        key: columns that name a row. Of several rows with one key the last one counts. A null in a key's column stands
            for the column's default, so that rows from before the column was there have a key too.
        version: of the columns' meaning. Rows of a later one are refused.
    """

    name: str
    row: type
    key: tuple[str, ...]
    version: int

    @cached_property
    def arrow(self) -> pyarrow.Schema:
        """The columns and their types, in order."""
        import pyarrow as pa

        types = {"float": pa.float64(), "int": pa.int64(), "str": pa.string(), "bool": pa.bool_()}
        types["bytes"] = pa.binary()
        columns = []
        for name, (kind, is_list) in self._kinds.items():
            values = types.get(kind, pa.string())  # a choice of strings is none of the plain kinds
            columns.append((name, pa.list_(values) if is_list else values))
        return pa.schema(columns)

    @cached_property
    def types(self) -> dict[str, pyarrow.DataType]:
        """The type of each column."""
        return {column.name: column.type for column in self.arrow}

    @cached_property
    def key_defaults(self) -> dict[str, Any]:
        """By column of the key: what a null stands for; no entry where none is allowed."""
        return {
            column.name: column.default
            for column in fields(self.row)
            if column.name in self.key and column.default is not MISSING
        }

    @cached_property
    def _kinds(self) -> dict[str, tuple[str, bool]]:
        kinds = {}
        for column in fields(self.row):
            kind = str(column.type).removesuffix(" | None")
            inner = kind.removeprefix("tuple[").removesuffix(", ...]")
            kinds[column.name] = inner, inner != kind
        return kinds

    def table(self, rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
        """A table of rows in plain values; strings that are no UTF-8 stay readable as escapes."""
        import pyarrow as pa

        return pa.Table.from_pylist(
            [{name: _as_utf8(value) for name, value in row.items()} for row in rows], self.arrow
        )

    def fit(self, batch: pyarrow.RecordBatch, columns: Sequence[str] | None) -> pyarrow.RecordBatch:
        """A batch of any file with the types of this schema where it has such columns; others stay as they are.

        Args:
            batch: of any file.
            columns: the wanted ones; nulls (in the key: defaults) where the batch has none. None takes the batch's.

        Raises:
            UsageError: a known column holds something else.
        """
        import pyarrow as pa

        arrays, present = [], set(batch.schema.names)
        names = batch.schema.names if columns is None else columns
        for name in names:
            wanted = self.types.get(name)
            if name in present:
                array = batch[name] if wanted is None else _cast(name, batch[name], wanted)
            else:
                array = pa.nulls(len(batch), wanted or pa.null())
            if name in self.key_defaults and array.null_count:
                array = array.fill_null(self.key_defaults[name])
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, list(names))

    def check_version(self, version: Any) -> None:
        """Raises UsageError if a row or file is of a later version than this framescribe knows."""
        if isinstance(version, int) and version > self.version:
            raise UsageError(
                f"a newer framescribe wrote it: its schema version is {version}, and this one knows those up to "
                f"{self.version}; update framescribe"
            )

    def wrong_value(self, row: Mapping[str, Any]) -> str | None:
        """What is wrong with a value of a known column; None if nothing is. Null stands for any value."""
        for name, value in row.items():
            if value is None or name not in self._kinds:
                continue
            kind, is_list = self._kinds[name]
            allowed = _PLAIN_TYPES.get(kind, (str,))
            values = value if is_list and type(value) is list else (value,)
            if is_list is not (type(value) is list) or not all(_is_of(each, allowed) for each in values):
                return f"{name} is {shown_value(value)}, not {'a list of ' * is_list}{allowed[0].__name__}"
        return None


CAPTIONS = TableSchema("rows", CaptionRow, ("clip_id", "prompt_index"), SCHEMA_VERSION)
"""Captions: one row for each clip and prompt."""
SCORES = TableSchema("scores", ScoreRow, ("clip_id", "scorer"), SCORE_SCHEMA_VERSION)
"""Scores: one row for each clip and scorer."""
FEATURES = TableSchema("features", FeatureRow, ("clip_id", "features_of"), FEATURE_SCHEMA_VERSION)
"""Features: one row for each clip and what made them."""


DECISIONS = TableSchema("decisions", DecisionRow, ("entry_id",), DECISION_SCHEMA_VERSION)
"""What people decided about captions: the whole history."""
REWRITES = TableSchema("rewrites", RewriteRow, ("clip_id", "prompt_index", "variant"), REWRITE_SCHEMA_VERSION)
"""Rewritten captions: one row for each caption and variant."""


def _as_utf8(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _is_of(value: Any, allowed: tuple[type, ...]) -> bool:
    return type(value) in allowed and (type(value) is not int or -(2**63) <= value < 2**63)


def _cast(name: str, array: pyarrow.Array, wanted: pyarrow.DataType) -> pyarrow.Array:
    if array.type == wanted:
        return array
    if not _is_alike(array.type, wanted):
        raise UsageError(f"column {name} holds {array.type}, not {wanted}")
    return array.cast(wanted)


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
    spellings: tuple[tuple[_IsType, tuple[_IsType, ...]], ...] = (
        (types.is_string, (types.is_string, types.is_large_string, types.is_string_view)),
        (types.is_boolean, (types.is_boolean,)),
        (types.is_binary, (types.is_binary, types.is_large_binary, types.is_binary_view)),
        (types.is_integer, (types.is_integer,)),
        (types.is_floating, (types.is_floating, types.is_integer)),
    )
    return any(ours(wanted) and any(is_it(found) for is_it in theirs) for ours, theirs in spellings)
