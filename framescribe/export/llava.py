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
    use="--data_path {target}/conversations.json --video_folder {target}",
    may_reference=True,
    forbidden_in_texts=(_TAG,),
)
