"""Rows as JSON lines, which anyone may have written: each is a row of plain values, or the reader is told why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isnan
from typing import IO, Any

from framescribe.dataset.schema import TableSchema
from framescribe.reading import MAX_LINE_BYTES, text_lines
from framescribe.shown import shown, shown_value

Row = dict[str, Any]


def json_rows(file: IO[bytes], name: str, schema: TableSchema) -> Iterator[tuple[int, Row, str | None]]:
    """Line number, row, and what is wrong with it (None: nothing); blank lines are passed over.

    NaN, which JSON has not and Python's writers use for what is missing, is read as null.

    Raises:
        UsageError: the file is UTF-16 or UTF-32.
    """
    for number, line in enumerate(text_lines(file, name), start=1):
        if line is None:
            yield number, {}, f"is longer than {MAX_LINE_BYTES >> 20} MiB"
        elif not line.isspace():
            row, problem = _parse(line)
            yield number, row, problem or schema.wrong_value(row)


def _parse(line: bytes) -> tuple[Row, str | None]:
    try:
        row = json.loads(line.decode("utf-8"))
    except RecursionError:
        return {}, "is nested too deeply"
    except ValueError as error:
        return {}, f"is not JSON: {shown(str(error))}"
    if not isinstance(row, dict):
        return {}, f"is no JSON object but {shown_value(row)}"
    return {
        key: None if isinstance(value, float) and isnan(value) else value for key, value in row.items()
    }, None
