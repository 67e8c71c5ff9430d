"""diffusion-pipe: the whole text file is the caption."""

from dataclasses import replace

from framescribe.export.pair import Format
from framescribe.export.reads import PYAV
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="diffusion-pipe",
    trainer="diffusion-pipe",
    layout=Sidecars(),
    reads=replace(PYAV, suffixes=frozenset({".mp4", ".mov", ".mkv", ".avi", ".wmv"}), side_step=32),
    use='[[directory]] path = "{target}" in the dataset TOML',
    clips=".",
)
