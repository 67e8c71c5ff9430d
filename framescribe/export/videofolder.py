"""Hugging Face VideoFolder: the split ``train``, with paths relative to its metadata file.

In a CSV file pandas would take ``NA`` for no caption.
"""

from framescribe.export.json_lines import JsonLines
from framescribe.export.pair import Format
from framescribe.export.reads import FFMPEG, UPRIGHT, Reads

FORMAT = Format(
    name="videofolder",
    trainer="Hugging Face VideoFolder",
    layout=JsonLines("train/metadata.jsonl", "file_name", "text"),
    reads=Reads(
        suffixes=frozenset({".mkv", ".mp4", ".avi", ".mpeg", ".mov"}),
        codecs=FFMPEG | {"av1"},
        upright=UPRIGHT,
        frame_step=1,
        side_step=2,
    ),
    use='datasets.load_dataset("videofolder", data_dir="{target}")',
    clips="train/videos",
    base="train",
)
