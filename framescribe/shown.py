"""Names, values and messages as people are shown them: on one line, of a sane length, with nothing to obey."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MAX_MESSAGE_CHARS = 2000
"""Longer messages lose their middle."""

_MAX_VALUE_CHARS = 200

# Control characters, line and paragraph separators, what turns the direction of writing, and bytes that are no UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Repr(reprlib.Repr):
    """``repr`` whose length is limited at every depth; bytes are counted, not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MAX_VALUE_CHARS

    def repr_bytes(self, value: bytes, level: int) -> str:
        return f"<{len(value):,} bytes>"

    repr_bytearray = repr_memoryview = repr_bytes


_REPR = _Repr()


def shown(text: str) -> str:
    r"""The text with line breaks, control characters and the like as escapes (``\n``, ``\x1b``)."""
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The text with a space for each stretch of white space, line breaks of every kind among it, and none around it."""
    # split() knows every break that splitlines() knows: \v, \f, \x1c to \x1e, \x85, U+2028 and U+2029 too.
    return " ".join(text.split())


def shown_value(value: Any) -> str:
    """``repr`` of a value of any size for a message: short, and escaped."""
    return shown(_REPR.repr(value))


def shorten(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """The text, without its middle if it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}…{text[-(limit - limit // 2 - 1) :]}"
