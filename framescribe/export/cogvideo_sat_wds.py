"""CogVideo's SAT code over WebDataset: captions in a file beside each tar, joined by the member ``id``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framescribe.export.cogvideo_sat import FPS, FRAMES, SKIPPED
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD, Reads
from framescribe.export.tars import read_shard, write_shards
from framescribe.types import VideoFacts

_SETTINGS = f"""\
args:
  train_data: [{{shards}}]
  valid_data: [{{shards}}]
  iterable_dataset: true
  iterable_dataset_eval: true
data:
  target: data_video.VideoDataset
  params:
    image_size: [480, 720]
    fps: {FPS}
    num_frames: {FRAMES}
    skip_frms_num: {SKIPPED}
    meta_names: [caption, duration, fps]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SatTarReads(Reads):
    """As its ``VideoDataset`` picks frames: it skips clips that are too short without a word."""

    def problem(self, suffix: str, facts: VideoFacts) -> tuple[str, str] | None:
        found = Reads.problem(self, suffix, facts)
        needed = int(FRAMES / FPS * facts.fps) + 2 * SKIPPED + 1
        if found is None and facts.num_frames < needed:
            return "too short", f"{facts.num_frames} frames of the {needed} that are needed"
        return found


class CogVideoSatTars:
    """``x.tar`` with ``k.mp4`` and ``k.id``, and ``x.meta.jsonl``; samples without duration or fps are skipped."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        last = ""
        for pair, shard in write_shards(((pair, {"id": pair.stem.encode()}) for pair in pairs), folder):
            line = {
                "key": pair.stem,
                "caption": pair.caption,
                "duration": pair.facts.duration_s,
                "fps": pair.facts.fps,
            }
            with (folder / f"{shard}.meta.jsonl").open("a", encoding="utf-8", newline="\n") as meta:
                meta.write(json.dumps(line, ensure_ascii=False) + "\n")
            last = shard
        # One name for all, which webdataset expands: it would mix a list as if all shards held as many clips.
        name = f"{{00000..{last}}}.tar" if last > "00000" else "00000.tar"
        shards = json.dumps(str(target / name), ensure_ascii=False)
        (folder / "data.yaml").write_text(_SETTINGS.format(shards=shards), encoding="utf-8")

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
    reads=SatTarReads(suffixes=frozenset({".mp4"}), upright=DECORD.upright),
    use='train_video.py --base configs/cogvideox_2b_lora.yaml configs/sft.yaml "{target}/data.yaml"',
    clips=None,
)
