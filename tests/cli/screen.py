"""A terminal's screen: what remains to be read of what was written to it, the lines that scrolled away included."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|\x1b.|[\r\n]|.", re.DOTALL)


class Screen:
    """As wide as ``columns``; knows what rich writes: text, line ends, cursor up, erase line, colours."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self._lines]

    def feed(self, text: str) -> None:
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token == "\r":
                self._column = 0
            elif token == "\n":
                self._line_feed()
            elif match[2] == "A":
                self._row = max(0, self._row - int(match[1] or 1))
            elif match[2] == "K":
                assert match[1] == "2", token
                self._lines[self._row] = []
            elif match[2]:
                assert match[2] in "mhl", token
            else:
                self._put(token)

    def _put(self, character: str) -> None:
        width = cell_len(character)
        if self._column + width > self.columns:
            self._column = 0
            self._line_feed()
        line = self._lines[self._row]
        line += [" "] * (self._column + width - len(line))
        # A wide character takes two cells; the second holds nothing more.
        line[self._column : self._column + width] = [character, *[""] * (width - 1)]
        self._column += width

    def _line_feed(self) -> None:
        # The terminal's driver sends "\r\n" for "\n", so the column is set by the "\r" alone.
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])
