"""Conversations for the fine-tuning of vision language models: the clip and a question, then its caption."""

from __future__ import annotations

from typing import Any

from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Pair
from framescribe.types import DEFAULT_QUESTION

MEDIA_TAGS = ("<video>", "<image>", "<audio>")
"""Where one of these stands in a text, LLaMA-Factory and ms-swift put a picture or count one that is not there."""


def question(pair: Pair) -> str:
    """What was asked about the clip."""
    return pair.clip.prompt or DEFAULT_QUESTION


class Messages(JsonEntries):
    """``{"messages": [user, assistant], "videos": [path]}``, as LLaMA-Factory and ms-swift read it."""

    def entry(self, pair: Pair) -> dict[str, Any]:
        return {
            "messages": [
                {"role": "user", "content": f"<video>{question(pair)}"},
                {"role": "assistant", "content": pair.caption},
            ],
            "videos": [pair.path],
        }

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        (video,), (_, answer) = entry["videos"], entry["messages"]
        return video, answer["content"]
