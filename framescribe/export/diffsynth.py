"""DiffSynth-Studio: paths are joined to the base folder. In a CSV file pandas would take ``NA`` for no caption."""

from framescribe.export.json_lines import JsonLines
from framescribe.export.pair import Format
from framescribe.export.reads import FFMPEG, UPRIGHT, Reads

FORMAT = Format(
    name="diffsynth",
    trainer="DiffSynth-Studio",
    layout=JsonLines("metadata.jsonl", "video", "prompt"),
    reads=Reads(
        # Those that imageio gives to FFmpeg: others it can open, but not count their frames.
        suffixes=frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".gif"}),
        codecs=FFMPEG | {"av1", "gif"},
        upright=UPRIGHT,
        fps=16,
    ),
    use='--dataset_base_path "{target}" --dataset_metadata_path "{target}/metadata.jsonl"',
    may_reference=True,
)
