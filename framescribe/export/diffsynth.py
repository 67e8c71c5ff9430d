"""DiffSynth-Studio: paths are joined to the base folder."""

from framescribe.export.csv_table import CsvTable
from framescribe.export.pair import Format

FORMAT = Format(
    name="diffsynth",
    trainer="DiffSynth-Studio",
    layout=CsvTable("metadata.csv", "video", "prompt"),
    use="--dataset_base_path {target} --dataset_metadata_path {target}/metadata.csv",
    may_reference=True,
)
