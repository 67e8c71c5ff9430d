"""One JSON object per line and clip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Path and caption per line.

    Attributes:
        file: its name.
        video, caption: the two keys.
    """

    file: str
    video: str
    caption: str

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        with (folder / self.file).open("w", encoding="utf-8", newline="\n") as file:
            for pair in pairs:
                line = {self.caption: pair.caption, self.video: pair.path}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        with (folder / self.file).open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                yield line[self.video], line[self.caption]
