"""ms-swift: messages; it opens paths as they are written."""

from dataclasses import replace

from framescribe.export.chat import MEDIA_TAGS, Messages
from framescribe.export.pair import Format
from framescribe.export.reads import DECORD

FORMAT = Format(
    name="ms-swift",
    trainer="ms-swift",
    layout=Messages("train.jsonl"),
    reads=replace(DECORD, min_frames=2, frame_step=1, side_step=2),
    use='swift sft --model Qwen/Qwen2.5-VL-7B-Instruct --tuner_type lora --dataset "{target}/train.jsonl"',
    has_absolute_paths=True,
    may_reference=True,
    forbidden_in_texts=MEDIA_TAGS,
)
