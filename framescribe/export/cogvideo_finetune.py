"""CogVideo's ``finetune/``: it drops blank lines of either list, and caches latents by the clip's stem."""

from dataclasses import replace

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format
from framescribe.export.reads import DECORD

FORMAT = Format(
    name="cogvideo-finetune",
    trainer="CogVideo finetune/",
    layout=LineLists("prompts.txt"),
    reads=replace(DECORD, fps=16, frame_step=8),
    images="images",
    use_images="--image_column images.txt",
    use='--data_root "{target}" --caption_column prompts.txt --video_column videos.txt',
)
