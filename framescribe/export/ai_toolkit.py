"""ai-toolkit: a text file beside each clip."""

from framescribe.export.pair import Format
from framescribe.export.reads import UPRIGHT, Reads
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="ai-toolkit",
    trainer="ai-toolkit",
    layout=Sidecars(),
    reads=Reads(
        suffixes=frozenset({".mp4", ".avi", ".mov", ".webm", ".mkv", ".wmv", ".m4v", ".flv"}),
        upright=UPRIGHT,
        fps=16,
    ),
    use='datasets: [{{folder_path: "{target}", caption_ext: "txt"}}]',
    clips=".",
)
