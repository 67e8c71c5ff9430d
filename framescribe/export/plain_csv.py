"""A plain table for programs of one's own, and for spreadsheets."""

from __future__ import annotations

from dataclasses import replace

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV
from framescribe.pipeline.sources import VIDEO_SUFFIXES
from framescribe.shown import shown


class PlainTable(CsvTable):
    """Path, caption, and what is known of the clip; every value is quoted."""

    def columns(self, pair: Pair) -> dict[str, object]:
        facts = pair.facts
        return super().columns(pair) | {
            "first_frame": pair.image,
            "clip_id": pair.clip_id,
            "source_video": shown(pair.clip.source_video),
            "start_s": pair.clip.start_s,
            "end_s": pair.clip.end_s,
            "width": facts.width,
            "height": facts.height,
            "fps": facts.fps,
            "num_frames": facts.num_frames,
            "duration_s": facts.duration_s,
        }


FORMAT = Format(
    name="csv",
    trainer="CSV",
    layout=PlainTable("clips.csv", "path", "caption", quotes_all=True),
    reads=replace(
        PYAV, suffixes=frozenset(VIDEO_SUFFIXES), upright=frozenset(VIDEO_SUFFIXES), frame_step=1, side_step=2
    ),
    use='pandas.read_csv("{target}/clips.csv", keep_default_na=False)',
    images="images",
    may_reference=True,
)
