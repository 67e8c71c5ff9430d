"""Rows to files: one JSONL or Parquet file, and text files beside the videos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from framescribe.types import CaptionRow

if TYPE_CHECKING:
    import pyarrow

ROW_FILE_SUFFIXES = (".jsonl", ".parquet")
_BATCH_ROWS = 4096


class RowFile:
    """Writes rows to ``path``, ``.jsonl`` or ``.parquet``; use it in a ``with`` statement.

    Rows go line by line into ``PATH.partial``, which takes the final name (or becomes the Parquet file) at the end,
    also when the end is Ctrl-C or a full disk: what was written is kept, and no reader ever meets half a file.

    Args:
        path: what to write.
        overwrite: replace ``path``, and a ``PATH.partial`` that a killed run left.

    Raises:
        ValueError: another ending, no such folder, the file exists.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.suffix not in ROW_FILE_SUFFIXES:
            raise ValueError(f"{path}: the output must end in {' or '.join(ROW_FILE_SUFFIXES)}")
        if not path.parent.is_dir():
            raise ValueError(f"{path}: there is no folder {path.parent}")
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a file")
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        for existing in (path, self._partial):
            if existing.exists() and not overwrite:
                raise ValueError(f"{existing} exists; move it away, or replace it with --overwrite")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> RowFile:
        try:
            # Unbuffered: after a failed write no half line is left in memory to be tried again.
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise ValueError(f"{self._partial} cannot be written: {error.strerror}") from error
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
        except OSError:
            self._file.truncate(end)
            raise

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
        table = self._path.with_name(f"{self._path.name}.tmp")
        try:
            _write_parquet(self._partial, table)
        except OSError as problem:
            table.unlink(missing_ok=True)
            raise OSError(
                problem.errno,
                f"{problem.strerror}; the rows so far are whole, as JSON lines",
                str(self._partial),
            ) from problem
        table.replace(self._path)
        self._partial.unlink()


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a ``.jsonl`` or ``.parquet`` file, as dictionaries of columns."""
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(_BATCH_ROWS):
                yield from batch.to_pylist()
    else:
        raise ValueError(f"{path}: rows are read from {' or '.join(ROW_FILE_SUFFIXES)} files")


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    kinds = {
        "float": pa.float64(), "int": pa.int64(), "str": pa.string(),
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


def _write_parquet(json_lines: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def flush(rows: list[dict[str, Any]]) -> None:
        writer.write_table(pa.Table.from_pylist(rows, schema))
        rows.clear()

    schema = _schema()
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(target, schema) as writer, json_lines.open("rb") as lines:
        for line in lines:
            rows.append({name: _as_utf8(value) for name, value in json.loads(line).items()})
            if len(rows) == _BATCH_ROWS:
                flush(rows)
        if rows:
            flush(rows)


def _as_utf8(value: Any) -> Any:
    """Parquet strings are UTF-8: what is not stays readable as escapes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def sidecar_path(source_video: str) -> Path:
    """``clip.mp4`` → ``clip.txt`` beside it.

    Raises:
        ValueError: the video is behind a URL, so that it has no side.
    """
    if "://" in source_video:
        raise ValueError(f"{source_video}: --txt writes beside local files; use -o for videos behind URLs")
    return Path(source_video).with_suffix(".txt")


def write_sidecar(row: CaptionRow) -> None:
    """Writes the row's caption beside its video; a row without a caption writes nothing."""
    if not row.caption:
        return
    path = sidecar_path(row.source_video)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(row.caption + "\n", encoding="utf-8")
    partial.replace(path)
