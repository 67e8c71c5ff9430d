"""Hugging Face VideoFolder: the split ``train``, with paths relative to its metadata file."""

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format
from framescribe.export.reads import FFMPEG, UPRIGHT, Reads

FORMAT = Format(
    name="videofolder",
    trainer="Hugging Face VideoFolder",
    layout=CsvTable("train/metadata.csv", "file_name", "text"),
    reads=Reads(
        suffixes=frozenset({".mkv", ".mp4", ".avi", ".mpeg", ".mov"}),
        codecs=FFMPEG | {"av1"},
        upright=UPRIGHT,
    ),
    use='datasets.load_dataset("videofolder", data_dir="{target}")',
    clips="train/videos",
    base="train",
)
