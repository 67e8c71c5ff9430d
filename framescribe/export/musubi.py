"""musubi-tuner: JSONL of absolute paths and a dataset TOML.

A dataset has one ``source_fps``, so clips of different rates are different datasets, each with a cache of its own. All
frames of a clip are taken: of the other ways to extract them each drops the clips that are shorter than it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV

_GENERAL = """\
# Made by framescribe. Choose resolution and max_frames for your model and memory.
[general]
resolution = [832, 480]
batch_size = 1
enable_bucket = true
bucket_no_upscale = true
"""
_DATASET = """
[[datasets]]
video_jsonl_file = {jsonl}
cache_directory = {cache}
source_fps = {rate}
frame_extraction = "full"
max_frames = 81
"""


class MusubiDatasets:
    """One JSONL per frame rate, all named in ``dataset.toml``."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        rates = set()
        for pair in pairs:
            rate = f"{pair.facts.fps:.3f}"
            rates.add(rate)
            line = {"video_path": pair.path, "caption": pair.caption}
            with (folder / _jsonl(rate)).open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        datasets = [
            _DATASET.format(
                # A JSON string is a TOML string too.
                jsonl=json.dumps(str(target / _jsonl(rate)), ensure_ascii=False),
                cache=json.dumps(str(target / f"cache-{rate.replace('.', '_')}fps"), ensure_ascii=False),
                rate=rate,
            )
            for rate in sorted(rates, key=float)
        ]
        (folder / "dataset.toml").write_text(_GENERAL + "".join(datasets), encoding="utf-8")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for path in folder.glob("clips-*.jsonl"):
            with path.open(encoding="utf-8") as lines:
                for line in map(json.loads, lines):
                    yield line["video_path"], line["caption"]


def _jsonl(rate: str) -> str:
    return f"clips-{rate.replace('.', '_')}fps.jsonl"


FORMAT = Format(
    name="musubi",
    trainer="musubi-tuner",
    layout=MusubiDatasets(),
    reads=replace(PYAV, fps=16),
    use='--dataset_config "{target}/dataset.toml"',
    has_absolute_paths=True,
    may_reference=True,
    caches_by_stem=True,
)
