"""One table of a dataset: append-only Parquet shards in a folder, local or behind any URL that fsspec opens.

``rows/part-000000-a1b2c3d4.parquet`` and so on; of several rows with one key the last counts, by the shards' names and
the order within them, whatever any clock said. Shards of one number were written side by side, and share no key.
A shard appears whole or not at all: locally by renaming, on object stores because a put is.
"""

from __future__ import annotations

import io
import random
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from framescribe.dataset.ahead import ahead
from framescribe.dataset.folder import Folder, State
from framescribe.dataset.schema import TableSchema
from framescribe.dataset.sealed_parquet import ParquetRows, write_sealed
from framescribe.errors import UsageError
from framescribe.shown import shown

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

_RUN_KEY = "framescribe.run"
_ADVICE = "move it away to go on without its rows, whose clips are then captioned again, or bring back a copy"
_DECODE_AHEAD_ROWS = 1 << 14
_MAX_HELD_BYTES = 128 << 20
_DENSE = 8


class Table:
    """A table of a dataset.

    Args:
        folder: of the dataset.
        schema: of the table.

    Raises:
        UsageError: (all methods that read) a shard is damaged, or written by a newer framescribe.
    """

    def __init__(self, folder: Folder, schema: TableSchema) -> None:
        self.schema = schema
        self._folder = folder
        self._verified: dict[str, State] = {}
        self._last: tuple[list[State], np.ndarray[Any, np.dtype[np.bool_]] | None] = [], None

    def make(self) -> None:
        """Makes the table's folder, if it is not there.

        Raises:
            UsageError: it cannot be made.
        """
        self._folder.make(self.schema.name)

    def append(
        self, rows: Iterable[Mapping[str, Any]], run: str, number: int, token: str | None = None
    ) -> None:
        """Writes rows in plain values as shard ``number``.

        Args:
            rows: any number.
            run: fingerprint of the run that made them.
            number: from ``next_number``.
            token: tells shards of one number apart, and replaces the one that has it; None makes a new one.

        Raises:
            OSError: as ``Folder.put``.
        """
        self.append_table(self.schema.table(rows), run, number, token)

    def append_table(self, rows: pyarrow.Table, run: str, number: int, token: str | None = None) -> None:
        """As ``append``, of rows that are a table of the schema already."""
        buffer = io.BytesIO()
        write_sealed(buffer, self.schema, [rows], {_RUN_KEY: run})
        self._folder.put(
            self._name(f"part-{number:06}-{token or secrets.token_hex(4)}.parquet"), buffer.getvalue()
        )

    def shards(self) -> list[str]:
        """Paths of the shards, oldest first."""
        names = [
            name
            for name in self._folder.list(self.schema.name)
            if name.startswith("part-") and name.endswith(".parquet")
        ]
        return [
            self._folder.path(self._name(name))
            for name in sorted(names, key=lambda name: (shard_number(name), name))
        ]

    def next_number(self) -> int:
        """The number of the shard to write next."""
        shards = self.shards()
        return shard_number(shards[-1]) + 1 if shards else 0

    def size_bytes(self) -> int:
        """Size of all shards together."""
        return sum(self._folder.size(self._name(_file_name(shard))) for shard in self.shards())

    def num_rows(self) -> int:
        """Rows in all shards, also those that a later one has replaced."""
        return sum(ahead(lambda shard: self._open(shard).num_rows, self.shards()))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pyarrow.RecordBatch]:
        """The last row of each key, in the order of writing; columns that a shard has not are null.

        Args:
            columns: which to read; None is all of the schema, and what else a shard has.
        """
        import pyarrow as pa

        shards = self.shards()
        states = self._states(shards)
        known, is_last = self._last
        batches = None
        if is_last is None or known != states:
            is_last, batches = self._compare_keys(shards, columns)
            self._last = states, is_last
        start = 0
        for batch in batches or (batch for _, batch in self.all_batches(shards, columns)):
            kept = is_last[start : start + len(batch)]
            start += len(batch)
            if len(kept) != len(batch):
                raise UsageError(f"{shown(self._folder.name)} was changed while it was read; read it again")
            yield batch if kept.all() else batch.filter(pa.array(kept))

    def _compare_keys(
        self, shards: list[str], columns: Sequence[str] | None
    ) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], list[pyarrow.RecordBatch] | None]:
        """Whether each row of all shards is the last one of its key, bool [N]; and the columns, if they are small."""
        key = list(self.schema.key)
        if columns is not None:
            held, num_bytes = [], 0
            for _, batch in self.all_batches(shards, list(dict.fromkeys((*key, *columns)))):
                held.append(batch)
                num_bytes += batch.nbytes
                if num_bytes > _MAX_HELD_BYTES:
                    break
            else:
                return _last_of_key([batch.select(key) for batch in held]), [
                    batch.select(list(columns)) for batch in held
                ]
        return _last_of_key([batch for _, batch in self.all_batches(shards, key)]), None

    def _states(self, shards: list[str]) -> list[State]:
        """What changes whenever a shard does; equal to nothing where that cannot be told."""
        states = [self._folder.state(self._name(_file_name(shard))) for shard in shards]
        return [state or (random.random(),) for state in states]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """As ``batches``, in plain values."""
        return (row for batch in self.batches(columns) for row in batch.to_pylist())

    def all_batches(
        self, shards: Iterable[str], columns: Sequence[str] | None
    ) -> Iterator[tuple[str, pyarrow.RecordBatch]]:
        """Some columns of all rows of shards, with the fingerprint of the run that wrote them (empty if unknown)."""

        def read(shard: str) -> tuple[str, str, Iterable[pyarrow.RecordBatch]]:
            parquet = self._open(shard)
            made_by = parquet.metadata.get(_RUN_KEY.encode(), b"").decode("utf-8", "replace")
            batches = parquet.batches(
                columns or list(self.schema.types | dict.fromkeys(parquet.schema.names))
            )
            return shard, made_by, list(batches) if parquet.num_rows <= _DECODE_AHEAD_ROWS else batches

        for shard, made_by, batches in ahead(read, shards):
            for batch in batches:
                for name in self.schema.key:
                    if name in batch.schema.names and batch[name].null_count:
                        raise UsageError(
                            f"{shown(shard)} holds rows without a {name}: no run wrote it; {_ADVICE}"
                        )
                yield made_by, batch

    def _name(self, shard: str) -> str:
        return f"{self.schema.name}/{shard}"

    def _open(self, shard: str) -> ParquetRows:
        import pyarrow as pa

        name = self._name(_file_name(shard))
        try:
            state = self._folder.state(name)
            if state is not None and self._verified.get(shard) == state:
                return ParquetRows(pa.OSFile(shard), shard, self.schema, _ADVICE, verify=False)
            with self._folder.open(name) as file:
                content = file.read()  # whole: its checksum is of all of it
        except OSError as error:
            raise UsageError(f"{shown(shard)} cannot be read: {error.strerror or error}") from error
        rows = ParquetRows(io.BytesIO(content), shard, self.schema, _ADVICE)
        if state is not None:
            self._verified[shard] = state
        return rows


def shard_number(shard: str) -> int:
    """The number in a shard's path or name."""
    number = _file_name(shard).split("-")[1]
    return int(number) if number.isdecimal() else 0


def _file_name(shard: str) -> str:
    return shard.rsplit("/", 1)[-1]


def _last_of_key(keys: Sequence[pyarrow.RecordBatch]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool [N]: for each of all rows in order, whether it is its key's last.

    Args:
        keys: the key's columns, without nulls.
    """
    import numpy as np
    import pyarrow as pa

    code, size = np.zeros(sum(map(len, keys)), np.int64), 1
    for column in pa.Table.from_batches(keys).columns if keys else ():
        values = column.combine_chunks().dictionary_encode()
        indices = np.from_dlpack(values.indices).astype(np.int64)  # to_numpy would import pandas
        code = code * len(values.dictionary) + indices
        size *= len(values.dictionary)
        if size > _DENSE * len(code):
            _, code = np.unique(code, return_inverse=True)
            size = len(code)
    last, numbers = np.zeros(size, np.int64), np.arange(len(code))
    last[code] = numbers  # where several go to one place, the last one stays
    is_last: np.ndarray[Any, np.dtype[np.bool_]] = last[code] == numbers
    return is_last
