"""Open-Sora 2: a CSV with the facts that it sorts clips into buckets by. It opens paths as they are written."""

from __future__ import annotations

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format, Pair


class OpenSoraTable(CsvTable):
    """``aspect_ratio`` is height / width and ``resolution`` the number of pixels, as Open-Sora's tools write them."""

    def columns(self, pair: Pair) -> dict[str, object]:
        assert pair.width
        assert pair.height
        assert pair.fps
        return super().columns(pair) | {
            "num_frames": pair.num_frames,
            "height": pair.height,
            "width": pair.width,
            "aspect_ratio": round(pair.height / pair.width, 6),
            "resolution": pair.height * pair.width,
            "fps": round(pair.fps, 6),
        }


FORMAT = Format(
    name="open-sora",
    trainer="Open-Sora 2",
    layout=OpenSoraTable("dataset.csv", "path", "text"),
    use="--dataset.data-path {target}/dataset.csv",
    has_absolute_paths=True,
    may_reference=True,
    needs=("width", "height", "fps", "duration_s"),
)
