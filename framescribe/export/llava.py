"""LLaVA (LLaVA-NeXT, LLaVA-Video): a list of conversations; ``<image>`` is where a video goes too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framescribe.export.chat import question
from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD

_TAG = "<image>"


class Conversations(JsonEntries):
    """``[{"id", "video", "conversations": [human, gpt]}]``."""

    def entry(self, pair: Pair) -> dict[str, Any]:
        return {
            "id": pair.clip_id,
            "video": pair.path,
            "conversations": [
                {"from": "human", "value": f"{_TAG}\n{question(pair)}"},
                {"from": "gpt", "value": pair.caption},
            ],
        }

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        _, answer = entry["conversations"]
        return entry["video"], answer["value"]


FORMAT = Format(
    name="llava",
    trainer="LLaVA",
    layout=Conversations("conversations.json"),
    reads=replace(DECORD, frame_step=1, side_step=2),
    use="deepspeed llava/train/train_mem.py --deepspeed scripts/zero3.json --version qwen_1_5 --bf16 True "
    "--model_name_or_path lmms-lab/llava-onevision-qwen2-7b-ov --vision_tower google/siglip-so400m-patch14-384 "
    "--mm_projector_type mlp2x_gelu --mm_vision_select_layer -2 --mm_use_im_start_end False "
    "--mm_use_im_patch_token False --mm_patch_merge_type spatial_unpad --mm_newline_position grid "
    "--mm_spatial_pool_stride 2 --model_max_length 32768 --frames_upbound 64 --force_sample True "
    '--data_path "{target}/conversations.json" --image_folder "{target}" --video_folder "{target}" '
    "--output_dir checkpoints/framescribe",
    may_reference=True,
    forbidden_in_texts=(_TAG,),
)
