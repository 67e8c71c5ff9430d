"""cogvideox-factory: ``prompt.txt``, singular. A clip shorter than its bucket ends the training."""

from dataclasses import replace

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format
from framescribe.export.reads import DECORD

FORMAT = Format(
    name="cogvideox-factory",
    trainer="cogvideox-factory",
    layout=LineLists("prompt.txt"),
    reads=replace(DECORD, min_frames=49),
    use='--data_root "{target}" --caption_column prompt.txt --video_column videos.txt --max_num_frames 49 '
    "--frame_buckets 49",
    may_reference=True,
    caches_by_stem=True,
)
