"""The files of a batch: lines of requests, each with its ``custom_id``, and the answers that are there already."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from framescribe.errors import UsageError
from framescribe.reading import open_regular, text_lines
from framescribe.shown import shorten, shown_value

_BEGINNING = b'{"id": '
"""Of each answer: a last line without an end that does not begin so is somebody else's, and is not cut off."""


def lines_of(path: str | Path, longest: int) -> Iterator[tuple[str, bytes | None]]:
    """The lines that are not blank, each with its ``custom_id``, or its number where it has none: ``line-7``."""
    with open_regular(path) as file:
        for number, line in enumerate(text_lines(file, str(path), longest), 1):
            if line is None or line.strip():
                yield _id(line) or f"line-{number}", line


def _id(line: bytes | None) -> str | None:
    try:
        value = json.loads(line or b"null")
    except (ValueError, RecursionError):
        return None
    found = value.get("custom_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def ids_of(path: str | Path, longest: int) -> dict[str, None]:
    ids: dict[str, None] = {}
    try:
        for custom_id, _ in lines_of(path, longest):
            if custom_id in ids:
                raise UsageError(f"{path}: the custom_id {shown_value(custom_id)} is there twice")
            ids[custom_id] = None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    if not ids:
        raise UsageError(f"{path} has no lines")
    return ids


@contextmanager
def open_answers(path: str | Path, requests: str | Path) -> Iterator[IO[bytes]]:
    """The file of answers, for this run alone."""
    try:
        if os.path.exists(path):
            open_regular(path).close()
            if os.path.samefile(path, requests):
                raise UsageError(f"{path} has the requests; name another file for the answers")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UsageError(f"{path}: another run writes it") from error
        yield file


def answered_in(file: IO[bytes], name: str) -> set[str]:
    """Whose answers are there; a line that is not whole is cut off. Leaves the file at its end."""
    done: set[str] = set()
    end = 0
    with open(os.dup(file.fileno()), "rb") as reading:
        for line in reading:
            if not line.endswith(b"\n"):
                if not (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
                    raise _no_answers(name, line)
                break
            if (custom_id := _id(line)) is None:
                raise _no_answers(name, line)
            done.add(custom_id)
            end += len(line)
    file.truncate(end)
    file.seek(end)
    return done


def _no_answers(name: str, line: bytes) -> UsageError:
    return UsageError(f"{name} is no file of answers: {shorten(line[:400].decode(errors='replace'), 80)}")
