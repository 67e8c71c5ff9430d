"""finetrainers: it reads both lists with ``splitlines``, which also splits on U+2028 and its like."""

from dataclasses import replace

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format
from framescribe.export.reads import DECORD

FORMAT = Format(
    name="finetrainers",
    trainer="finetrainers",
    layout=LineLists("prompts.txt"),
    reads=replace(DECORD, frame_step=8, side_step=32),
    use='{{"data_root": "{target}", "dataset_type": "video"}} in the dataset JSON',
    may_reference=True,
)
