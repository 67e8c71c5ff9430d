"""One CSV file with a line per clip."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A header, then path and caption per clip.

    Attributes:
        file: its name.
        video, caption: names of the two columns.
        quotes_all: put every value in quotes, not only those that need it.
    """

    file: str
    video: str
    caption: str
    quotes_all: bool = False

    def columns(self, pair: Pair) -> dict[str, object]:
        """A line's columns by name, in order."""
        return {self.video: pair.path, self.caption: pair.caption}

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        with (folder / self.file).open("w", encoding="utf-8", newline="") as file:
            writer = None
            for pair in pairs:
                columns = self.columns(pair)
                if writer is None:
                    writer = csv.DictWriter(
                        file,
                        list(columns),
                        lineterminator="\n",
                        quoting=csv.QUOTE_ALL if self.quotes_all else csv.QUOTE_MINIMAL,
                    )
                    writer.writeheader()
                writer.writerow(columns)

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        with (folder / self.file).open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                yield line[self.video], line[self.caption]
