"""The LTX trainer: paths are relative to the metadata file."""

from dataclasses import replace

from framescribe.export.json_lines import JsonLines
from framescribe.export.pair import Format
from framescribe.export.reads import PYAV

FORMAT = Format(
    name="ltx",
    trainer="LTX trainer",
    layout=JsonLines("dataset.jsonl", "video", "caption"),
    reads=replace(PYAV, frame_step=8, side_step=32),
    use="process_dataset.py {target}/dataset.jsonl --caption-column caption --video-column video",
    may_reference=True,
)
