"""DiffSynth-Studio: paths are joined to the base folder."""

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format
from framescribe.export.reads import FFMPEG, UPRIGHT, Reads

FORMAT = Format(
    name="diffsynth",
    trainer="DiffSynth-Studio",
    layout=CsvTable("metadata.csv", "video", "prompt"),
    reads=Reads(
        # Those that imageio gives to FFmpeg: others it can open, but not count their frames.
        suffixes=frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".gif"}),
        codecs=FFMPEG | {"av1", "gif"},
        upright=UPRIGHT,
    ),
    use="--dataset_base_path {target} --dataset_metadata_path {target}/metadata.csv",
    may_reference=True,
)
