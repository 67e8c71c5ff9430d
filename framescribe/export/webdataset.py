"""WebDataset: each sample's members side by side in a tar, under a key without dots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV
from framescribe.export.tars import read_shard, write_shards


class Tars:
    """``k.mp4``, ``k.txt`` (the caption), ``k.json`` (caption, facts and where it comes from)."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        for _ in write_shards(((pair, _texts(pair)) for pair in pairs), folder):
            pass

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for tar in sorted(folder.glob("*.tar")):
            for sample in read_shard(tar):
                if sample["mp4"] and json.loads(sample["json"]):
                    yield f"{sample['__key__'].decode()}.mp4", sample["txt"].decode()


def _texts(pair: Pair) -> dict[str, bytes]:
    facts = {
        "clip_id": pair.clip_id,
        "source_video": pair.clip.source_video,
        "caption": pair.caption,
        "width": pair.facts.width,
        "height": pair.facts.height,
        "fps": pair.facts.fps,
        "duration_s": pair.facts.duration_s,
    }
    return {"txt": pair.caption.encode(), "json": json.dumps(facts).encode()}


FORMAT = Format(
    name="webdataset",
    trainer="WebDataset",
    layout=Tars(),
    reads=replace(PYAV, suffixes=frozenset({".mp4"}), frame_step=1, side_step=2),
    use='webdataset.WebDataset(sorted(glob.glob("{target}/*.tar")), shardshuffle=100)',
    clips=None,
)
