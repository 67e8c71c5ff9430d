"""Rows to one file, JSONL or Parquet, and back from there or from a folder."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from framescribe.dataset.folder import local_path, written
from framescribe.dataset.json_rows import json_rows
from framescribe.dataset.sealed_parquet import ParquetRows, check_version, write_sealed
from framescribe.dataset.store import RowFolder
from framescribe.dataset.table import BATCH_ROWS, row_table
from framescribe.errors import UsageError
from framescribe.files import create_file, new_file
from framescribe.reading import open_regular
from framescribe.shown import shown
from framescribe.types import CaptionRow

if TYPE_CHECKING:
    import pyarrow

ROW_FILE_SUFFIXES = (".jsonl", ".parquet")
CAPTION_COLUMNS = ("clip_id", "source_video", "caption_status")
"""What every row of ``caption`` has."""


def is_row_file(output: str) -> bool:
    """Whether an output is one file of rows. A name without an ending, or that ends in a slash, is a folder.

    Raises:
        UsageError: it has another ending, or is a file behind a URL.
    """
    suffix = Path(output).suffix
    if not suffix or output.endswith("/"):
        return False
    if suffix not in ROW_FILE_SUFFIXES:
        raise UsageError(
            f"{output}: the output must end in {' or '.join(ROW_FILE_SUFFIXES)}, or in / for a folder"
        )
    if local_path(output) is None:
        raise UsageError(f"{output}: behind a URL rows go into a folder; leave out {suffix}")
    return True


class RowFile:
    """Writes rows to ``path``, ``.jsonl`` or ``.parquet``; use it in a ``with`` statement.

    Rows go line by line into ``PATH.partial``, which takes the final name (or becomes the Parquet file) at the end,
    also when the end is Ctrl-C or a full disk: what was written is kept, and no reader ever meets half a file.

    Args:
        path: what to write; it may be a ``file:`` URL.
        overwrite: replace ``path``, and a ``PATH.partial`` that a killed run left.

    Raises:
        UsageError: another ending, no such folder, the file exists.
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        path = Path(local_path(str(path)) or path)
        if path.suffix not in ROW_FILE_SUFFIXES:
            raise UsageError(
                f"{path}: the output must end in {' or '.join(ROW_FILE_SUFFIXES)}; a folder's name has no ending"
            )
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}")
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name a file")
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        for existing in (path, self._partial):
            if os.path.lexists(existing) and not overwrite:
                raise UsageError(f"{existing} exists; move it away, or replace it with `overwrite=True`")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> RowFile:
        try:
            # Unbuffered: after a failed write no half line is left in memory to be tried again.
            self._partial.unlink(missing_ok=True)
            self._file = create_file(self._partial, buffering=0)
        except OSError as error:
            told = written(error, str(self._partial))
            raise UsageError(f"{self._partial} cannot be written: {told.strerror}") from error
        return self

    def write(self, row: CaptionRow) -> None:
        """Appends a row. A write that fails (``OSError``, a full disk) leaves the rows before it whole."""
        assert self._file is not None, "use RowFile in a with statement"
        line = json.dumps(row.to_dict(), ensure_ascii=False) + "\n"
        # A file name that is no UTF-8 holds lone surrogates; as JSON escapes they survive.
        rest = memoryview(line.encode("utf-8", "backslashreplace"))
        end = self._file.tell()
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(end)
            raise written(error, str(self._partial), "the rows so far are whole") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        is_empty = self._file.tell() == 0
        self._file.close()
        if kind is not None and is_empty:
            # Stopped before the first row: an older file that was to be overwritten stays.
            self._partial.unlink()
            return
        if self._path.suffix == ".jsonl":
            self._partial.replace(self._path)
            return
        try:
            _write_parquet(self._partial, self._path)
        except OSError as problem:
            raise OSError(
                problem.errno,
                f"{problem.strerror}; the rows so far are whole, as JSON lines",
                str(self._partial),
            ) from problem
        self._partial.unlink()


def read_rows(
    path: str | Path,
    required: Collection[str] = (),
    on_bad: Callable[[int, str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows of a ``.jsonl`` or ``.parquet`` file or of a folder that ``caption`` wrote, as dictionaries of columns.

    Of a folder's rows for one clip the last one counts.

    Args:
        path: file or folder; a folder may be behind a URL.
        required: columns that every row must have and that are not null, such as ``CAPTION_COLUMNS``.
        on_bad: told of each row that cannot be used, by line (or row) and reason, which is then passed over. None ends
            at the first such row.

    Raises:
        UsageError: it is none of these, cannot be read, was written by a newer framescribe, or a row cannot be used;
            the message says where.
    """
    name = str(path)
    try:
        for number, row, problem in _numbered(local_path(name) or name):
            reason = problem or _lacking(row, required)
            if reason is None:
                yield row
            elif on_bad is None:
                raise UsageError(f"{shown(name)}, line {number}: {reason}")
            else:
                on_bad(number, reason)
    except OSError as error:
        raise UsageError(f"{shown(name)} cannot be read: {error.strerror or error}") from error


def _numbered(name: str) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    if name.endswith(".jsonl"):
        with open_regular(name) as file:
            for number, row, problem in json_rows(file, shown(name)):
                try:
                    check_version(row.get("schema_version"))
                except UsageError as error:
                    raise UsageError(f"{shown(name)}, line {number}: {error}") from error
                yield number, row, problem
    elif name.endswith(".parquet"):
        with open_regular(name) as file:
            rows = ParquetRows(file, name, "bring back a copy, or write it again").rows(None)
            yield from ((number, row, None) for number, row in enumerate(rows, start=1))
    else:
        folder = RowFolder(name)
        if not folder.exists():
            raise UsageError(
                f"{shown(name)}: rows are read from {' or '.join(ROW_FILE_SUFFIXES)} files, or from a folder of them"
            )
        yield from ((number, row, None) for number, row in enumerate(folder.rows(), start=1))


def _lacking(row: Mapping[str, Any], required: Collection[str]) -> str | None:
    for column in required:
        if row.get(column) is None:
            return f"has no {column}: it is no row that `framescribe caption` wrote"
    return None


def _write_parquet(json_lines: Path, target: Path) -> None:
    def tables(lines: IO[bytes]) -> Iterator[pyarrow.Table]:
        while batch := list(itertools.islice(lines, BATCH_ROWS)):
            yield row_table(map(json.loads, batch))

    with json_lines.open("rb") as lines, new_file(target) as file:
        write_sealed(file, tables(lines), {})
