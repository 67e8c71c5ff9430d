"""ai-toolkit: a text file beside each clip. It takes a folder for one of pictures where no frames are asked for."""

from framescribe.export.pair import Format
from framescribe.export.reads import FFMPEG, UPRIGHT, Reads
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="ai-toolkit",
    trainer="ai-toolkit",
    layout=Sidecars(),
    reads=Reads(
        suffixes=frozenset({".mp4", ".avi", ".mov", ".webm", ".mkv", ".wmv", ".m4v", ".flv"}),
        codecs=FFMPEG | {"av1"},
        upright=UPRIGHT,
        fps=16,
    ),
    use='datasets: [{{folder_path: "{target}", caption_ext: "txt", num_frames: 41, auto_frame_count: true, '
    "trim_auto_frame_count_tail: true}}]",
    clips=".",
)
