"""One JSON object per line and clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Pair


@dataclass(frozen=True, slots=True)
class JsonLines(JsonEntries):
    """Path and caption per line.

    Attributes:
        video, caption: the two keys.
    """

    video: str
    caption: str

    def entry(self, pair: Pair) -> dict[str, Any]:
        return {self.caption: pair.caption, self.video: pair.path}

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        return entry[self.video], entry[self.caption]
