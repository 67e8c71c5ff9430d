"""Parquet tables that hold videos as the ``datasets`` library writes them: ``{bytes, path}``, or bytes alone."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from framescribe.reading import Member
from framescribe.video.remote import open_parts

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PATH_COLUMNS = ("source_video", "path", "video", "file_name", "video_path", "file")
"""Where a list's videos are named or held; the first of these that is there."""


MAX_GROUP_BYTES = 2 << 30
"""The largest row group that is read for a video: writers may put all of it into one page, which is read whole."""


class TableMember(Member):
    """The video in one cell of a Parquet file.

    Args:
        where: path or URL of the file; the column; the row, counted from 0.
    """

    def open(self) -> IO[bytes]:
        archive, column, row = self.where
        with open_table(archive) as table:
            content = _cell(table, column, row)
        if content is None:
            raise OSError(f"row {row} of {archive} has no bytes")
        return io.BytesIO(content)


def member_name(row: int, path: Any) -> str:
    """What a row's video is called behind the ``::``: the row, and the last part of its path if it has one."""
    name = posixpath.basename(path) if isinstance(path, str) else ""
    return f"{row}/{name}" if name else str(row)


def find_row(archive: str, member: str) -> IO[bytes]:
    """The video that ``member_name`` named.

    Raises:
        OSError: there is no such file or row; back ends raise errors of their own too.
    """
    row = member.partition("/")[0]
    with open_table(archive) as table:
        column = holding_column(table.schema_arrow)
        if column is None or not row.isdecimal() or int(row) >= table.metadata.num_rows:
            raise FileNotFoundError(f"there is no video {member} in {archive}")
    return TableMember(archive, column, int(row)).open()


@contextmanager
def open_table(name: str) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file by its path or URL.

    Raises:
        OSError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_parts(name) as file:
        try:
            # Pages as they are needed: columns of videos are as large as these.
            with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
                yield table
        except pa.ArrowException as error:
            raise OSError(f"it is damaged or no Parquet file: {error}") from error


def holding_column(schema: pa.Schema) -> str | None:
    """The column of bytes that videos are in (``video.bytes``); None if they are only named."""
    import pyarrow as pa

    for name in PATH_COLUMNS:
        index = schema.get_field_index(name)
        if index < 0:
            continue
        kind = schema.field(index).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return f"{name}.bytes"
        return name if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else None
    return None


def rows_with_bytes(table: pq.ParquetFile, column: str, group: int) -> Iterator[bool]:
    """Whether each row of a row group holds bytes: by the file's statistics, else by reading them one by one."""
    facts = table.metadata.row_group(group)
    paths = (facts.column(index) for index in range(facts.num_columns))
    statistics = next((each.statistics for each in paths if each.path_in_schema == column), None)
    if statistics is not None and statistics.has_null_count and statistics.null_count in (0, facts.num_rows):
        for _ in range(facts.num_rows):
            yield statistics.null_count == 0
        return
    for batch in table.iter_batches(1, row_groups=[group], columns=[column], use_threads=False):
        yield _leaf(batch, column).null_count == 0


def _cell(table: pq.ParquetFile, column: str, row: int) -> bytes | None:
    for group in range(table.num_row_groups):
        rows = table.metadata.row_group(group).num_rows
        if row >= rows:
            row -= rows
            continue
        size = table.metadata.row_group(group).total_byte_size
        if size > MAX_GROUP_BYTES:
            raise OSError(
                f"its row group {group} has {size:,} bytes, more than {MAX_GROUP_BYTES:,}: make them smaller"
            )
        for batch in table.iter_batches(1, row_groups=[group], columns=[column], use_threads=False):
            if row == 0:
                return _leaf(batch, column)[0].as_py()  # type: ignore[no-any-return]
            row -= 1
    return None


def _leaf(batch: pa.RecordBatch, column: str) -> Any:
    _, _, inner = column.partition(".")
    values = batch.column(0)
    if not inner:
        return values
    import pyarrow.compute as pc

    return pc.struct_field(values, inner)
