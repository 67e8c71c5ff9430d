"""Lists of clips (text, CSV, JSON lines, Parquet), entry by entry: each one is a clip, also one that cannot be read."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.reading import MAX_LINE_BYTES, check_encoding, open_regular, text_lines
from framescribe.shown import shorten, shown_value
from framescribe.types import Clip
from framescribe.video.address import (
    MARK,
    check_listed,
    check_name,
    folder_of,
    local_path,
    protocol_of,
    suffix_of,
)
from framescribe.video.remote import fetch
from framescribe.video.table import (
    PATH_COLUMNS,
    TableMember,
    holding_column,
    member_name,
    open_table,
    rows_with_bytes,
)

if TYPE_CHECKING:
    import pyarrow.parquet as pq

LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")
_COLUMNS = (*PATH_COLUMNS, "id", "start_s", "end_s", "prompt")
_BATCH_ROWS = 256  # a dictionary in the file may make each cell a megabyte
_END = "\ud800"  # which no decoding gives

Entry = Mapping[str, Any] | str
"""An entry's columns, or what is wrong with it."""


def is_list(name: str) -> bool:
    """Whether ``name`` is a file that lists clips: its ending says so, and it is not a video with that ending."""
    suffix = suffix_of(name)
    if suffix not in LIST_SUFFIXES:
        return False
    path = local_path(name)
    if path is None:
        return True
    try:
        with open_regular(path) as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return False
    if suffix == ".parquet":
        return head.startswith(b"PAR1")
    try:
        check_encoding(head, name)
    except UsageError:
        return True  # reading it says what is wrong
    return b"\0" not in head


def read_list(
    name: str, start_s: float = 0.0, end_s: float | None = None, owners: dict[int, int] | None = None
) -> Iterator[Clip]:
    """The clips of a list, one per entry, in its order, without reading ahead.

    Args:
        name: a path or URL. ``.txt`` has a path or URL a line; the others have one in a column of ``PATH_COLUMNS`` (the
            first of these that is there), and may have ``id``, ``start_s``, ``end_s`` and ``prompt``. Relative paths
            start at the list's folder. In Parquet the column may hold the videos themselves, as bytes or as the
            ``datasets`` library's ``{bytes, path}``.
        start_s, end_s: the span where the list has none, in seconds.
        owners: hashes of the ids that have been given so far, each with a hash of its clip. Entries with an id are
            added. Lists that share it cannot give one id to two clips.

    An entry that cannot be understood is a clip with a ``problem`` that names file and line. So is one with an id that
    another clip has.

    Raises:
        UsageError: the list cannot be opened, or has no column of paths.
    """
    owners = {} if owners is None else owners
    for place, entry in read_entries(name):
        problem = entry if isinstance(entry, str) else None
        if not isinstance(entry, str):
            try:
                clip = entry_clip(entry, name, start_s, end_s)
                if clip.given_id is not None:
                    key = hash((clip.source_video, clip.start_s, clip.end_s, clip.prompt))
                    if owners.setdefault(hash(clip.given_id), key) != key:
                        raise UsageError(f"another clip has the id {shown_value(clip.given_id)}")
                yield clip
            except (ValueError, TypeError) as error:
                problem = str(error)
        if problem is not None:
            yield Clip(f"{name}:{place}", problem=f"{name}, line {place}: {shorten(problem, 1000)}")


def entry_clip(entry: Mapping[str, Any], name: str, start_s: float, end_s: float | None) -> Clip:
    """The clip of an entry of the list ``name``; raises UsageError if it names none."""
    column = next((column for column in PATH_COLUMNS if column in entry), None)
    if column is None:
        raise UsageError(f"it has none of {', '.join(PATH_COLUMNS)}")
    if "start" in entry or "end" in entry:
        raise UsageError("name the span start_s and end_s, in seconds, not start and end")
    value = entry[column]
    source = f"{name}{MARK}{value.name}" if isinstance(value, _Held) else _located(value, column, name)
    given_id = _given(entry, "id")
    if isinstance(given_id, str) and not given_id.isprintable():
        raise UsageError(f"id is {shown_value(given_id)}; printable text is needed")
    return Clip(
        source,
        seconds(entry, "start_s", start_s),
        seconds(entry, "end_s", end_s),
        data=value.member if isinstance(value, _Held) else None,
        prompt=None if (prompt := _given(entry, "prompt")) is None else str(prompt),
        given_id=None if given_id is None else str(given_id),
    )


def _located(value: Any, column: str, name: str) -> str:
    """The path or URL that an entry of the list ``name`` names, relative ones from the list's folder on."""
    # A mapping is a row of the datasets library that names its video.
    source = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(source, str) or not source.strip():
        raise UsageError(f"{column} is {shown_value(source)}; a path or URL is needed")
    if not protocol_of(source):
        join = posixpath.join if protocol_of(name) else os.path.join
        source = join(folder_of(name), source)
    check_name(source)
    check_listed(source, name)
    return source


def _given(entry: Mapping[str, Any], column: str) -> Any:
    """The column's value; None where it is missing, blank or NaN."""
    value = entry.get(column)
    is_blank = isinstance(value, str) and not value.strip()
    is_nan = isinstance(value, float) and math.isnan(value)
    return None if is_blank or is_nan else value


def seconds(entry: Mapping[str, Any], column: str, default: Any) -> Any:
    """A column's number of seconds; ``default`` where it is missing, empty or NaN.

    Raises:
        UsageError: it is no number.
    """
    value = _given(entry, column)
    if value is None:
        return default
    try:
        return float(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{column} is {shown_value(value)}; a number of seconds is needed") from error


@dataclass(frozen=True, slots=True)
class _Held:
    """A video that a Parquet list itself holds."""

    name: str
    member: TableMember


def read_entries(name: str, more: Collection[str] = ()) -> Iterator[tuple[int, Entry]]:
    """Each entry of a list with its line, or in Parquet with its row, counted from 1; ``more``: its further columns.

    Raises:
        UsageError: the list cannot be opened, or has no column of paths.
    """
    suffix = suffix_of(name)
    if suffix == ".parquet":
        yield from _parquet_entries(name, more)
        return
    with _opened(name) as file:
        lines = text_lines(file, name)
        if suffix == ".csv":
            yield from _csv_entries(lines, name)
            return
        parse = _text_entry if suffix == ".txt" else _json_entry
        for number, line in enumerate(lines, start=1):
            if line is None:
                yield number, f"is longer than {MAX_LINE_BYTES:,} bytes"
            elif line.strip():
                yield number, parse(line)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    path = local_path(name)
    try:
        file = fetch(name) if path is None else open_regular(path)
    except Exception as error:  # back ends raise types of their own, without a common base
        raise UsageError(f"the list {name} cannot be opened: {error}") from error
    with file:
        yield file


def _text_entry(line: bytes) -> Entry:
    # Spaces may be part of a name. A name need not be UTF-8.
    return {"path": os.fsdecode(line).rstrip("\r\n")}


def _json_entry(line: bytes) -> Entry:
    try:
        entry = json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return entry if isinstance(entry, dict) else "is not a JSON object"


def _csv_entries(lines: Iterator[bytes | None], name: str) -> Iterator[tuple[int, Entry]]:
    # The module's own limit is less than long captions take; there is one for the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    reader = csv.reader(_csv_lines(lines))
    try:
        header = next(filter(None, reader), None)
        if header in (None, [_END]):
            return
        _check_columns(header, name)
        for values in reader:
            if values and values[-1].endswith(_END) and values != [_END]:
                raise csv.Error("a quoted cell is not closed")
            if values == [_END]:
                return
            if len(values) == len(header):
                yield reader.line_num, dict(zip(header, values, strict=True))
            elif values:
                yield reader.line_num, f"{len(values)} columns where the header has {len(header)}"
    except csv.Error as error:
        # Where the next entry begins is not known: what follows could be the inside of a cell.
        yield reader.line_num, f"{error}; the list is not read on from here"


def _csv_lines(lines: Iterator[bytes | None]) -> Iterator[str]:
    for line in lines:
        if line is None:
            raise csv.Error(f"is longer than {MAX_LINE_BYTES:,} bytes")
        # A cell may hold line ends of its own, which are kept; a list may have those of old Macs.
        yield from io.StringIO(line.decode("utf-8", "surrogateescape"), newline="")
    yield _END  # in a cell of its own, or in one that no quote has closed


def _parquet_entries(name: str, more: Collection[str]) -> Iterator[tuple[int, Entry]]:
    try:
        with open_table(name) as table:
            _check_columns(table.schema_arrow.names, name)
            yield from enumerate(_rows(table, name, more), start=1)
    except UsageError:
        raise
    except Exception as error:  # back ends raise types of their own, without a common base
        raise UsageError(f"the list {name} cannot be read: {error}") from error


def _rows(table: pq.ParquetFile, name: str, more: Collection[str]) -> Iterator[Entry]:
    """The rows with the columns that matter; videos in them are read when they are needed, not now."""
    names = table.schema_arrow.names
    column = next(column for column in PATH_COLUMNS if column in names)
    held = holding_column(table.schema_arrow)
    wanted = [
        name for name in (*_COLUMNS, *more) if name in names and (held is None or name not in PATH_COLUMNS)
    ]
    if held not in (None, column):
        wanted.append(f"{column}.path")
    number = 0
    for group in range(table.num_row_groups):
        holds = itertools.repeat(False) if held is None else rows_with_bytes(table, held, group)
        for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=wanted, use_threads=False):
            for entry in batch.to_pylist() if wanted else itertools.repeat({}, batch.num_rows):
                row = {column: None, **entry}
                if next(holds):
                    path = (row[column] or {}).get("path")
                    row[column] = _Held(member_name(number, path), TableMember(name, held, number))
                yield row
                number += 1


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
