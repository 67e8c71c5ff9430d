"""ai-toolkit: a text file beside each clip."""

from framescribe.export.pair import Format
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="ai-toolkit",
    trainer="ai-toolkit",
    layout=Sidecars(),
    use='datasets: [{{folder_path: "{target}", caption_ext: "txt"}}]',
    clips=".",
)
