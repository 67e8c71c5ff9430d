"""Open-Sora 2: a table with the facts that it sorts clips into buckets by. It opens paths as they are written.

Parquet, since pandas takes the captions ``NA`` and ``null`` in a CSV file for missing ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.dataset.parquet import read_parquet, write_parquet
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV

_FILE = "dataset.parquet"
_TYPES = {
    "path": "string", "text": "string", "num_frames": "int64", "height": "int64", "width": "int64",
    "aspect_ratio": "double", "resolution": "int64", "fps": "double",
}  # fmt: skip


class OpenSoraTable:
    """``aspect_ratio`` is height / width and ``resolution`` the number of pixels, as Open-Sora's tools write them."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        write_parquet(folder / _FILE, map(_columns, pairs), _TYPES)

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for row in read_parquet(folder / _FILE):
            yield row["path"], row["text"]


def _columns(pair: Pair) -> dict[str, object]:
    facts = pair.facts
    return {
        "path": pair.path,
        "text": pair.caption,
        "num_frames": facts.num_frames,
        "height": facts.height,
        "width": facts.width,
        "aspect_ratio": round(facts.height / facts.width, 6),
        "resolution": facts.height * facts.width,
        "fps": round(facts.fps, 6),
    }


FORMAT = Format(
    name="open-sora",
    trainer="Open-Sora 2",
    layout=OpenSoraTable(),
    reads=replace(PYAV, fps=24),
    use='--dataset.data-path "{target}/' + _FILE + '"',
    has_absolute_paths=True,
    may_reference=True,
)
