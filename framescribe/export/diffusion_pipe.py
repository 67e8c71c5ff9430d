"""diffusion-pipe: the whole text file is the caption."""

from framescribe.export.pair import Format
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="diffusion-pipe",
    trainer="diffusion-pipe",
    layout=Sidecars(),
    use='[[directory]] path = "{target}" in the dataset TOML',
    clips=".",
)
