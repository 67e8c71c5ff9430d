"""Open-Sora 2: a CSV with the facts that it sorts clips into buckets by. It opens paths as they are written."""

from __future__ import annotations

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV


class OpenSoraTable(CsvTable):
    """``aspect_ratio`` is height / width and ``resolution`` the number of pixels, as Open-Sora's tools write them."""

    def columns(self, pair: Pair) -> dict[str, object]:
        return super().columns(pair) | {
            "num_frames": pair.facts.num_frames,
            "height": pair.facts.height,
            "width": pair.facts.width,
            "aspect_ratio": round(pair.facts.height / pair.facts.width, 6),
            "resolution": pair.facts.height * pair.facts.width,
            "fps": round(pair.facts.fps, 6),
        }


FORMAT = Format(
    name="open-sora",
    trainer="Open-Sora 2",
    layout=OpenSoraTable("dataset.csv", "path", "text"),
    reads=PYAV,
    use="--dataset.data-path {target}/dataset.csv",
    has_absolute_paths=True,
    may_reference=True,
)
