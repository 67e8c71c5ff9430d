"""Rows to one file, JSONL or Parquet."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from framescribe.caption_row import CaptionRow
from framescribe.dataset.folder import local_path, written
from framescribe.dataset.schema import BATCH_ROWS, CAPTIONS
from framescribe.dataset.sealed_parquet import write_sealed
from framescribe.errors import UsageError
from framescribe.files import create_file, new_file

if TYPE_CHECKING:
    import pyarrow

ROW_FILE_SUFFIXES = (".jsonl", ".parquet")


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


def _write_parquet(json_lines: Path, target: Path) -> None:
    def tables(lines: IO[bytes]) -> Iterator[pyarrow.Table]:
        while batch := list(itertools.islice(lines, BATCH_ROWS)):
            yield CAPTIONS.table(map(json.loads, batch))

    with json_lines.open("rb") as lines, new_file(target) as file:
        write_sealed(file, CAPTIONS, tables(lines), {})
