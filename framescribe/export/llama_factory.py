"""LLaMA-Factory: messages, and the entry of ``dataset_info.json`` that says how they are to be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.chat import MEDIA_TAGS, Messages
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV

_INFO = {
    "framescribe": {
        "file_name": "framescribe.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
}


class LlamaFactoryData(Messages):
    """Messages as a data set called ``framescribe``; paths are relative to the folder."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        super().write(pairs, folder, target)
        (folder / "dataset_info.json").write_text(json.dumps(_INFO, indent=2) + "\n", encoding="utf-8")


FORMAT = Format(
    name="llama-factory",
    trainer="LLaMA-Factory",
    layout=LlamaFactoryData("framescribe.jsonl"),
    # It picks frames by their number in the header, and reads the first ones where that says none (mkv, ts).
    reads=replace(
        PYAV, suffixes=frozenset({".mp4", ".mov", ".m4v", ".3gp", ".avi"}), frame_step=1, side_step=2
    ),
    use="llamafactory-cli train --stage sft --do_train true --finetuning_type lora "
    "--model_name_or_path Qwen/Qwen3-VL-4B-Instruct --template qwen3_vl_nothink "
    '--dataset_dir "{target}" --dataset framescribe --output_dir saves/framescribe',
    may_reference=True,
    forbidden_in_texts=MEDIA_TAGS,
)
