"""How trainers of vision language models read their data sets; as in ``loaders``."""

from __future__ import annotations

import json
import os
from pathlib import Path

Pairs = list[tuple[bytes, str]]


def messages(root: Path, lines: Path, base: Path) -> Pairs:
    pairs = []
    for entry in map(json.loads, lines.read_bytes().splitlines()):
        user, assistant = entry["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        texts = user["content"] + assistant["content"]
        assert [texts.count(tag) for tag in ("<video>", "<image>", "<audio>")] == [1, 0, 0]
        (video,) = entry["videos"]
        pairs.append(((base / video).read_bytes(), assistant["content"]))
    return pairs


def llama_factory(root: Path) -> Pairs:
    info = json.loads((root / "dataset_info.json").read_text(encoding="utf-8"))["framescribe"]
    assert info["formatting"] == "sharegpt"
    assert info["columns"] == {"messages": "messages", "videos": "videos"}
    assert (info["tags"]["user_tag"], info["tags"]["assistant_tag"]) == ("user", "assistant")
    return messages(root, root / info["file_name"], root)


def ms_swift(root: Path) -> Pairs:
    lines = (root / "train.jsonl").read_bytes().splitlines()
    assert all(os.path.isabs(json.loads(line)["videos"][0]) for line in lines)
    return messages(root, root / "train.jsonl", root)


def llava(root: Path) -> Pairs:
    pairs = []
    for entry in json.loads((root / "conversations.json").read_text(encoding="utf-8")):
        human, gpt = entry["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        assert human["value"].startswith("<image>\n")
        assert (human["value"] + gpt["value"]).count("<image>") == 1
        pairs.append(((root / entry["video"]).read_bytes(), gpt["value"]))
    return pairs
