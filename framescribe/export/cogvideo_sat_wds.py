"""CogVideo's SAT code over WebDataset: captions in a file beside each tar, joined by the member ``id``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD
from framescribe.export.tars import read_shard, write_shards


class CogVideoSatTars:
    """``x.tar`` with ``k.mp4`` and ``k.id``, and ``x.meta.jsonl``; samples without duration or fps are skipped."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        for pair, shard in write_shards(((pair, {"id": pair.stem.encode()}) for pair in pairs), folder):
            line = {
                "key": pair.stem,
                "caption": pair.caption,
                "duration": pair.facts.duration_s,
                "fps": pair.facts.fps,
            }
            with (folder / f"{shard}.meta.jsonl").open("a", encoding="utf-8", newline="\n") as meta:
                meta.write(json.dumps(line, ensure_ascii=False) + "\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for tar in sorted(folder.glob("*.tar")):
            with tar.with_suffix(".meta.jsonl").open(encoding="utf-8") as lines:
                captions = {line["key"]: line["caption"] for line in map(json.loads, lines)}
            for sample in read_shard(tar):
                key = sample["id"].decode()
                if sample["mp4"]:
                    yield f"{key}.mp4", captions[key]


FORMAT = Format(
    name="cogvideo-sat-wds",
    trainer="CogVideo SAT, WebDataset",
    layout=CogVideoSatTars(),
    reads=replace(DECORD, suffixes=frozenset({".mp4"})),
    use='train_data: ["{target}/00000.tar", …]',
    clips=None,
)
