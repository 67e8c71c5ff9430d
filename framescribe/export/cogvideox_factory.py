"""cogvideox-factory: ``prompt.txt``, singular."""

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format
from framescribe.export.reads import DECORD

FORMAT = Format(
    name="cogvideox-factory",
    trainer="cogvideox-factory",
    layout=LineLists("prompt.txt"),
    reads=DECORD,
    use="--data_root {target} --caption_column prompt.txt --video_column videos.txt",
    may_reference=True,
)
