"""The LTX trainer: paths are relative to the metadata file; it cuts each clip to the longest bucket that it fills."""

from dataclasses import replace

from framescribe.export.json_lines import JsonLines
from framescribe.export.pair import Format
from framescribe.export.reads import PYAV

FORMAT = Format(
    name="ltx",
    trainer="LTX-2 trainer",
    layout=JsonLines("dataset.jsonl", "video", "caption"),
    reads=replace(PYAV, min_frames=9, frame_step=8, side_step=32),
    use='python scripts/process_dataset.py "{target}/dataset.jsonl" --resolution-buckets '
    '"768x448x89;768x448x49;768x448x25;768x448x9" --model-path MODEL --text-encoder-path GEMMA',
    may_reference=True,
)
