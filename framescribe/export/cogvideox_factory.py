"""cogvideox-factory: ``prompt.txt``, singular."""

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format

FORMAT = Format(
    name="cogvideox-factory",
    trainer="cogvideox-factory",
    layout=LineLists("prompt.txt"),
    use="--data_root {target} --caption_column prompt.txt --video_column videos.txt",
    may_reference=True,
)
