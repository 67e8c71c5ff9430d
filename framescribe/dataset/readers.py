"""Rows as they lie in a folder, a Parquet file or JSON lines: checked, in order, as dictionaries or Arrow batches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from framescribe.dataset.json_rows import json_rows
from framescribe.dataset.row_file import ROW_FILE_SUFFIXES
from framescribe.dataset.schema import BATCH_ROWS, CAPTIONS, VERSION_COLUMN
from framescribe.dataset.sealed_parquet import ParquetRows
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.reading import open_regular
from framescribe.shown import shown

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]
OnBad = Callable[[int, str], None]
"""Is told of a row that cannot be used, by its line (or number) and the reason."""


class Reader(Protocol):
    """Where rows come from. Every method may raise ``UsageError`` and ``OSError``."""

    def schema(self) -> pyarrow.Schema:
        """All columns that may be asked for: those of ``CaptionRow``, be they there or null, and others that are."""

    def names(self) -> list[str]:
        """The columns that are there."""

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """All rows in order.

        Args:
            columns: which to read, of those in ``schema``.
        """

    def rows(self) -> Iterator[Row]:
        """All rows in order, in plain values."""


class Checked:
    """What happens to rows that cannot be used."""

    def __init__(self, name: str, required: Collection[str], on_bad: OnBad | None) -> None:
        self.name, self.required, self.on_bad = name, tuple(required), on_bad

    def bad(self, number: int, reason: str) -> None:
        if self.on_bad is None:
            raise UsageError(f"{shown(self.name)}, line {number}: {reason}")
        self.on_bad(number, reason)

    def lacking(self, row: Mapping[str, Any]) -> str | None:
        missing = next((column for column in self.required if row.get(column) is None), None)
        return None if missing is None else _lacks(missing)

    def complete(self, batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        """The rows of batches that lack nothing; the batches have all the required columns."""
        import numpy as np
        import pyarrow as pa

        start = 1
        for batch in batches:
            good = np.ones(len(batch), np.bool_)
            for column in self.required:
                if batch[column].null_count:
                    for row in np.flatnonzero(good & batch[column].is_null().to_numpy(zero_copy_only=False)):
                        self.bad(start + int(row), _lacks(column))
                        good[row] = False
            start += len(batch)
            yield batch if good.all() else batch.filter(pa.array(good))


def _lacks(column: str) -> str:
    return f"has no {column}: it is no row that `framescribe caption` wrote"


class FolderRows:
    """The captions of a dataset's folder."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self.folder = RowFolder(checked.name)
        if not self.folder.exists():
            if self.folder.has_any():
                raise UsageError(
                    f"{shown(checked.name)} has no captions yet; `framescribe caption` makes them"
                )
            raise UsageError(
                f"{shown(checked.name)}: rows are read from {' or '.join(ROW_FILE_SUFFIXES)} files, "
                "or from a folder of them"
            )

    def schema(self) -> pyarrow.Schema:
        return self.folder.table.schema.arrow

    def names(self) -> list[str]:
        return list(self.schema().names)

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        needed = dict.fromkeys((*columns, *self._checked.required))
        for batch in self._checked.complete(self.folder.table.batches(list(needed))):
            yield batch.select(list(columns))

    def rows(self) -> Iterator[Row]:
        for batch in self._checked.complete(self.folder.table.batches()):
            yield from batch.to_pylist()


class ParquetFile:
    """The rows of one Parquet file of anyone's."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    def schema(self) -> pyarrow.Schema:
        import pyarrow as pa

        with open_regular(self._checked.name) as file:
            others = [field for field in self._opened(file).schema if field.name not in CAPTIONS.arrow.names]
        return pa.schema([*CAPTIONS.arrow, *others])

    def names(self) -> list[str]:
        with open_regular(self._checked.name) as file:
            return list(self._opened(file).schema.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        needed = dict.fromkeys((*columns, *self._checked.required))
        with open_regular(self._checked.name) as file:
            for batch in self._checked.complete(self._opened(file).batches(list(needed))):
                yield batch.select(list(columns))

    def rows(self) -> Iterator[Row]:
        with open_regular(self._checked.name) as file:
            parquet = self._opened(file)
            names = list(parquet.schema.names)
            needed = dict.fromkeys((*names, *self._checked.required))
            for batch in self._checked.complete(parquet.batches(list(needed))):
                yield from batch.select(names).to_pylist()

    def _opened(self, file: Any) -> ParquetRows:
        return ParquetRows(file, self._checked.name, CAPTIONS, "bring back a copy, or write it again")


class JsonLines:
    """The rows of a file of JSON lines of anyone's."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    def schema(self) -> pyarrow.Schema:
        import pyarrow as pa

        others = [
            pa.field(name, _arrow_type(types))
            for name, types in self._found.items()
            if name not in CAPTIONS.arrow.names
        ]
        return pa.schema([*CAPTIONS.arrow, *others])

    def names(self) -> list[str]:
        return list(self._found)

    @cached_property
    def _found(self) -> dict[str, set[type]]:
        """All columns, with the types of their values."""
        found: dict[str, set[type]] = {}
        for number, row, reason in self._numbered():
            if reason is not None and self._checked.on_bad is None:
                self._checked.bad(number, reason)
            for name, value in row.items():
                found.setdefault(name, set()).add(_type_of(value))
        return found

    def batches(self, columns: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema([self.schema().field(name) for name in columns])
        rows = self.rows()
        while some := list(itertools.islice(rows, BATCH_ROWS)):
            plain = [
                {field.name: _plain(row.get(field.name), field.type) for field in schema} for row in some
            ]
            yield CAPTIONS.fit(pa.RecordBatch.from_pylist(plain, schema), columns)

    def rows(self) -> Iterator[Row]:
        for number, row, reason in self._numbered():
            if reason is None:
                yield row
            else:
                self._checked.bad(number, reason)

    def _numbered(self) -> Iterator[tuple[int, Row, str | None]]:
        name = self._checked.name
        with open_regular(name) as file:
            for number, row, problem in json_rows(file, shown(name), CAPTIONS):
                try:
                    CAPTIONS.check_version(row.get(VERSION_COLUMN))
                except UsageError as error:
                    raise UsageError(f"{shown(name)}, line {number}: {error}") from error
                yield number, row, problem or self._checked.lacking(row)


def _type_of(value: Any) -> type:
    return str if type(value) is int and not -(2**63) <= value < 2**63 else type(value)


def _arrow_type(types: set[type]) -> pyarrow.DataType:
    import pyarrow as pa

    types = types - {type(None)}
    if types == {bool}:
        return pa.bool_()
    if types == {int}:
        return pa.int64()
    return pa.float64() if types and types <= {int, float} else pa.string()


def _plain(value: Any, kind: pyarrow.DataType) -> Any:
    """A value as its column takes it: text without half surrogate pairs; what is no plain value as JSON."""
    import pyarrow as pa

    if not pa.types.is_string(kind) or value is None:
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()
