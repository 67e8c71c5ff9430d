"""CogVideo's ``finetune/``: it drops blank lines of either list, and caches latents by the clip's stem."""

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format

FORMAT = Format(
    name="cogvideo-finetune",
    trainer="CogVideo finetune/",
    layout=LineLists("prompts.txt"),
    use="--data_root {target} --caption_column prompts.txt --video_column videos.txt",
)
