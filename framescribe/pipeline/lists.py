"""Lists of clips (text, CSV, JSON lines, Parquet), entry by entry: each one is a clip, also one that cannot be read."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from framescribe.errors import UsageError
from framescribe.types import Clip

LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")
PATH_COLUMNS = ("source_video", "path", "video", "file_name", "video_path")
_COLUMNS = (*PATH_COLUMNS, "id", "start_s", "end_s", "prompt")
_BATCH_ROWS = 4096

Entry = Mapping[str, Any] | str
"""An entry's columns, or what is wrong with it."""


def is_list(name: str) -> bool:
    """Whether ``name`` is a file that lists clips: its ending says so, and it is not a video with that ending."""
    if not name.lower().endswith(LIST_SUFFIXES):
        return False
    if "://" in name:
        return True
    try:
        with open(name, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    if name.lower().endswith(".parquet"):
        return head.startswith(b"PAR1")
    return head != b"" and b"\0" not in head


def read_list(name: str, start_s: float = 0.0, end_s: float | None = None) -> Iterator[Clip]:
    """The clips of a list, one per entry, in its order, without reading ahead.

    Args:
        name: a path or URL. ``.txt`` has a path or URL a line; the others have one in a column of ``PATH_COLUMNS`` (the
            first of these that is there), and may have ``id``, ``start_s``, ``end_s`` and ``prompt``. Relative paths
            start at the list's folder.
        start_s, end_s: the span where the list has none, in seconds.

    An entry that cannot be understood is a clip with a ``problem`` that names file and line. So is one with an id that
    another clip of the list has.

    Raises:
        UsageError: the list cannot be opened, or has no column of paths.
    """
    folder = posixpath.dirname(name) if "://" in name else os.path.dirname(name)
    owners: dict[str, int] = {}
    for place, entry in _entries(name):
        problem = entry if isinstance(entry, str) else None
        if not isinstance(entry, str):
            try:
                clip = _clip(entry, folder, start_s, end_s)
                if clip.given_id is not None:
                    key = hash((clip.source_video, clip.start_s, clip.end_s, clip.prompt))
                    if owners.setdefault(clip.given_id, key) != key:
                        raise UsageError(f"another clip of this list has the id {clip.given_id!r}")
                yield clip
            except (ValueError, TypeError) as error:
                problem = str(error)
        if problem is not None:
            yield Clip(f"{name}:{place}", problem=f"{name}, line {place}: {problem}")


def _clip(entry: Mapping[str, Any], folder: str, start_s: float, end_s: float | None) -> Clip:
    column = next((column for column in PATH_COLUMNS if column in entry), None)
    if column is None:
        raise UsageError(f"it has none of {', '.join(PATH_COLUMNS)}")
    if "start" in entry or "end" in entry:
        raise UsageError("name the span start_s and end_s, in seconds, not start and end")
    source = entry[column]
    if not isinstance(source, str) or not source.strip():
        raise UsageError(f"{column} is {source!r}; a path or URL is needed")
    if "://" not in source:
        join = posixpath.join if "://" in folder else os.path.join
        source = join(folder, source)
    given_id = _given(entry, "id")
    if isinstance(given_id, str) and not given_id.isprintable():
        raise UsageError(f"id is {given_id!r}; printable text is needed")
    return Clip(
        source,
        _seconds(entry, "start_s", start_s),
        _seconds(entry, "end_s", end_s),
        prompt=None if (prompt := _given(entry, "prompt")) is None else str(prompt),
        given_id=None if given_id is None else str(given_id),
    )


def _given(entry: Mapping[str, Any], column: str) -> Any:
    """The column's value; None where it is missing, empty or not a number."""
    value = entry.get(column)
    is_blank = isinstance(value, str) and not value.strip()
    is_nan = isinstance(value, float) and math.isnan(value)
    return None if is_blank or is_nan else value


def _seconds(entry: Mapping[str, Any], column: str, default: Any) -> Any:
    value = _given(entry, column)
    if value is None:
        return default
    try:
        return float(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{column} is {value!r}; a number of seconds is needed") from error


def _entries(name: str) -> Iterator[tuple[int, Entry]]:
    """(Line, or row from 1 in Parquet; entry) of each one."""
    with _opened(name) as file:
        match os.path.splitext(name)[1].lower():
            case ".txt":
                yield from _text_entries(file)
            case ".csv":
                yield from _csv_entries(file, name)
            case ".jsonl":
                yield from _json_entries(file)
            case _:
                yield from _parquet_entries(file, name)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    try:
        if "://" in name:
            import fsspec

            file = fsspec.open(name, "rb").open()
        else:
            file = open(name, "rb")  # noqa: SIM115 - closed by the with statement below
    except Exception as error:  # back ends raise types of their own, without a common base
        raise UsageError(f"the list {name} cannot be opened: {error}") from error
    with file:
        yield file


def _text_entries(file: IO[bytes]) -> Iterator[tuple[int, Entry]]:
    for number, line in enumerate(file, start=1):
        # Spaces may be part of a name. A name need not be UTF-8.
        text = os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip("\r\n")
        if text.strip():
            yield number, {"path": text}


def _csv_entries(file: IO[bytes], name: str) -> Iterator[tuple[int, Entry]]:
    reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""))
    header = next(reader, [])
    _check_columns(header, name)
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, str(error)
            continue
        if len(values) == len(header):
            yield reader.line_num, dict(zip(header, values, strict=True))
        elif values:
            yield reader.line_num, f"{len(values)} columns where the header has {len(header)}"


def _json_entries(file: IO[bytes]) -> Iterator[tuple[int, Entry]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line.decode("utf-8-sig", "surrogateescape"))
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON: {error}"
            continue
        yield number, entry if isinstance(entry, dict) else "is not a JSON object"


def _parquet_entries(file: IO[bytes], name: str) -> Iterator[tuple[int, Entry]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        _check_columns(table.schema_arrow.names, name)
        columns = [column for column in _COLUMNS if column in table.schema_arrow.names]
        number = 0
        for batch in table.iter_batches(_BATCH_ROWS, columns=columns):
            for entry in batch.to_pylist():
                number += 1
                yield number, entry
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"the list {name} cannot be read: {error}") from error


def _check_columns(header: list[str], name: str) -> None:
    if not set(header) & set(PATH_COLUMNS):
        raise UsageError(
            f"the list {name} has no column of paths ({', '.join(PATH_COLUMNS)}); it has: {', '.join(header)}"
        )
    if unitless := {"start", "end"} & set(header):
        # Reading past them would caption another span than is meant.
        raise UsageError(
            f"the list {name} has columns {', '.join(sorted(unitless))}: name them start_s and end_s, in seconds"
        )
