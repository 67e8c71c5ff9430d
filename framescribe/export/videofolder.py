"""Hugging Face VideoFolder: the split ``train``, with paths relative to its metadata file."""

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format

FORMAT = Format(
    name="videofolder",
    trainer="Hugging Face VideoFolder",
    layout=CsvTable("train/metadata.csv", "file_name", "text"),
    use='datasets.load_dataset("videofolder", data_dir="{target}")',
    clips="train/videos",
    base="train",
)
