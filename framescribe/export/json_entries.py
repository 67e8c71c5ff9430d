"""One JSON file with an entry per clip: an object per line, or a list."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class JsonEntries(ABC):
    """Entries of a form of its own; an entry is a line in either case.

    Attributes:
        file: its name: ``.jsonl`` for an object per line, ``.json`` for a list of them.
    """

    file: str

    @abstractmethod
    def entry(self, pair: Pair) -> dict[str, Any]:
        """A clip's entry."""

    @abstractmethod
    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        """Path and caption of an entry."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        before, between, after = ("", "", "") if self._has_lines else ("[", ",", "\n]")
        with (folder / self.file).open("w", encoding="utf-8", newline="\n") as file:
            mark = before
            for pair in pairs:
                line = json.dumps(self.entry(pair), ensure_ascii=False)
                file.write(f"{line}\n" if self._has_lines else f"{mark}\n{line}")
                mark = between
            file.write(after)

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        with (folder / self.file).open(encoding="utf-8") as file:
            entries = map(json.loads, file) if self._has_lines else json.load(file)
            for entry in entries:
                yield self.pair_in(entry)

    @property
    def _has_lines(self) -> bool:
        return self.file.endswith(".jsonl")
