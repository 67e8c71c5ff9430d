"""Opening what others wrote: regular files only, text as UTF-8 whatever mark it begins with, within limits."""

from __future__ import annotations

import codecs
import errno
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from framescribe.errors import UsageError
from framescribe.shown import shown, shown_value

MAX_TEXT_BYTES = 64 << 20
"""The most that is read of a file as one text."""

MAX_LINE_BYTES = 16 << 20
"""The longest line that is read."""

_FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip


class Member:
    """A file that is opened when it is needed, maybe in another process: one of an archive, say.

    Args:
        where: what ``open`` needs to find its bytes, as plain values; the archive's path or URL comes first.
    """

    def __init__(self, *where: Any) -> None:
        self.where = where

    def open(self) -> IO[bytes]:
        """Its content, to be closed by the caller.

        Raises:
            OSError: it cannot be had; back ends raise errors of their own too.
        """
        raise NotImplementedError


class Foreign:
    """A clip's ``data`` of this kind comes from a stranger: only common containers and codecs are opened in it."""


class ForeignBytes(Foreign, bytes):
    """A video that a stranger sent."""


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Opens a regular file for reading; a pipe, a device or a socket is refused at once, not waited for.

    Raises:
        OSError: as ``open``; EINVAL where it is no regular file.
        ValueError: the path holds a null byte.
    """
    name = os.fspath(path)
    # Looked at before it is opened, which some devices take as a command; and after, as it may have been replaced.
    _check_regular(os.stat(name).st_mode, name)
    file = open(name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))  # noqa: SIM115 - handed to the caller
    try:
        _check_regular(os.fstat(file.fileno()).st_mode, name)
    except OSError:
        file.close()
        raise
    return file


def _check_regular(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is not a regular file (a pipe or a device)", name)


def read_text(path: str | os.PathLike[str], max_bytes: int | None = None) -> str:
    r"""Reads a small text file: UTF-8, with or without a byte order mark; line ends become ``\n``.

    Raises:
        UsageError: it is not UTF-8, or larger than ``max_bytes`` (``MAX_TEXT_BYTES``); the message names the
            file.
        OSError: it cannot be opened.
    """
    name = shown(os.fspath(path))
    with open_regular(path) as file:
        content = file.read((max_bytes := max_bytes or MAX_TEXT_BYTES) + 1)
    if len(content) > max_bytes:
        raise UsageError(
            f"{name}: is no text to read at once: it has more than {max_bytes / (1 << 20):g} MiB"
        )
    check_encoding(content, name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is not UTF-8: {error.reason} at byte {error.start}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | os.PathLike[str], max_bytes: int) -> dict[str, Any]:
    """Reads a JSON object from a file that anyone may have written.

    Raises:
        UsageError: it is none, nested too deeply, has a key twice, or is larger than ``max_bytes``; the message names
            the file.
        OSError: it cannot be opened, or is no regular file.
    """
    name = shown(os.fspath(path))
    text = read_text(path, max_bytes)
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise UsageError(f"{name}: is nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"{name}: is not JSON: {shown(str(error))}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{name}: is no JSON object but {shown_value(value)}")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shown_value(twice)} is there twice")
    return values


def check_encoding(head: bytes, name: str) -> None:
    """Raises UsageError if a file's first bytes are the mark of UTF-16 or UTF-32."""
    for mark, encoding in _FOREIGN_MARKS.items():
        if head.startswith(mark):
            raise UsageError(f"{name}: is {encoding}; save it as UTF-8")


def text_lines(file: IO[bytes], name: str, max_bytes: int | None = None) -> Iterator[bytes | None]:
    """The lines of a file with their ends, without a byte order mark; None for one longer than ``max_bytes``, or
    ``MAX_LINE_BYTES``.

    Raises:
        UsageError: it is UTF-16 or UTF-32.
    """
    most = MAX_LINE_BYTES if max_bytes is None else max_bytes
    line = file.readline(most + 1)
    check_encoding(line, name)
    line = line.removeprefix(codecs.BOM_UTF8)
    while line:
        if len(line) <= most:
            yield line
        else:
            while line and not line.endswith(b"\n"):
                line = file.readline(most)
            yield None
        line = file.readline(most + 1)
