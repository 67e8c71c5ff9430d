"""Parquet files of rows, written and read in one way: whatever is damaged in one is told, never passed on.

Pages carry the checksums that the format has. They leave out the footer, so that its metadata holds, under
``framescribe.sha256``, the SHA-256 of the whole file as it is with 64 zeros in that place. Every read compares both. A
file that has neither, of an older version or of another writer, is read as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO

from framescribe.dataset.schema import BATCH_ROWS, VERSION_COLUMN, TableSchema
from framescribe.errors import UsageError
from framescribe.shown import shorten, shown

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_SEAL_KEY = "framescribe.sha256"
_UNSEALED = b"0" * 64
_SEAL = re.compile(
    re.escape(_SEAL_KEY.encode()) + rb"..(.{64})", re.DOTALL
)  # in between, the value's type and length
_MOST_FOOTER_BYTES, _USUAL_FOOTER_BYTES = 64 << 20, 1 << 16
_CHUNK_BYTES = 1 << 20


def write_sealed(
    file: BinaryIO, schema: TableSchema, tables: Iterable[pyarrow.Table], metadata: Mapping[str, str]
) -> None:
    """Writes tables of a schema as one Parquet file, with all its checksums.

    Args:
        file: empty, open for writing and reading.
        tables: a row group each.
        metadata: goes into the footer.
    """
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema.arrow, compression="zstd", write_page_checksum=True) as writer:
        for table in tables:
            writer.write_table(table)
        writer.add_key_value_metadata({**metadata, _SEAL_KEY: _UNSEALED.decode()})
    file.flush()
    start = _seal_start(file)
    assert start is not None, "its footer is too large"
    digest = _digest(file, start)
    file.seek(start)
    file.write(digest)


class ParquetRows:
    """Rows of a Parquet file.

    Args:
        file: open for reading, in a ``with`` statement around this.
        name: for messages.
        schema: of its rows.
        advice: what to do if it is damaged.
        verify: False if the seal of these bytes was compared before.

    Raises:
        UsageError: it is damaged or no Parquet file. So do all methods, also for rows of a newer version.
    """

    def __init__(
        self, file: IO[bytes], name: str, schema: TableSchema, advice: str, verify: bool = True
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._name, self._table, self._advice = name, schema, advice
        with self._damage_told():
            start = _seal_start(file) if verify else None
            if start is not None and _read(file, start, len(_UNSEALED)) != _digest(file, start):
                raise ValueError("its bytes are not those that were written")
            file.seek(0)
            # Without threads of Arrow's: one may outlive the interpreter, and then end the process.
            source = pa.BufferReader(file.getbuffer()) if isinstance(file, io.BytesIO) else file
            self._file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
            self._schema = self._file.schema_arrow

    @property
    def schema(self) -> pyarrow.Schema:
        """The columns of ``batches`` where all are read."""
        import pyarrow as pa

        return pa.schema([(each.name, self._table.types.get(each.name, each.type)) for each in self._schema])

    @property
    def num_rows(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """Of the footer."""
        return self._file.metadata.metadata or {}

    def batches(self, columns: Sequence[str] | None) -> Iterator[pyarrow.RecordBatch]:
        """Rows in order, the known columns with the types of the schema.

        Args:
            columns: which; one that the file has not is null. None is all that it has.
        """
        wanted = None if columns is None else {*columns, VERSION_COLUMN}
        present = [name for name in self._schema.names if wanted is None or name in wanted]
        with self._damage_told():
            batches = self._file.iter_batches(BATCH_ROWS, columns=present, use_threads=False)
        while True:
            with self._damage_told():
                batch = next(batches, None)
                if batch is None:
                    return
                _check_version(batch, self._table)
                fitting = self._table.fit(batch, columns)
                fitting.validate(full=True)  # text that is no UTF-8 is found here, and by name
            yield fitting

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{shown(self._name)}: {error}") from error
        except Exception as error:  # damaged bytes raise many types, which have no base in common
            reason = shown(shorten(f"{error}" or type(error).__name__, 300))
            raise UsageError(f"{shown(self._name)} is damaged: {reason}; {self._advice}") from error


def _check_version(batch: pyarrow.RecordBatch, schema: TableSchema) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if VERSION_COLUMN in batch.schema.names and pa.types.is_integer(batch[VERSION_COLUMN].type):
        schema.check_version(pc.max(batch[VERSION_COLUMN]).as_py())


def _seal_start(file: IO[bytes]) -> int | None:
    """Where the digest is; None if there is none."""
    end = file.seek(0, os.SEEK_END)
    for size in (_USUAL_FOOTER_BYTES, _MOST_FOOTER_BYTES):  # whatever the footer says of its length
        start = max(0, end - size)
        if places := [found.start(1) for found in _SEAL.finditer(_read(file, start, end - start))]:
            return start + places[-1]
    return None


def _digest(file: IO[bytes], seal_start: int) -> bytes:
    """Hexadecimal digits, of the file with zeros for the seal."""
    digest = hashlib.sha256()
    file.seek(0)
    left = seal_start
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise ValueError("it ends early")
        digest.update(chunk)
        left -= len(chunk)
    digest.update(_UNSEALED)
    file.seek(len(_UNSEALED), os.SEEK_CUR)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _read(file: IO[bytes], start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
