"""musubi-tuner: JSONL of absolute paths and a dataset TOML.

A dataset has one ``source_fps``, so clips of different rates are different datasets, each with a cache of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV

_MODEL_FPS = 16.0  # Wan's; other models sample a clip more densely, so that it has frames enough
_MAX_FRAMES = 81

_GENERAL = """\
# Made by framescribe. Choose resolution and target_frames (4N+1) for your model.
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
source_fps = {fps:.3f}
target_frames = [{frames}]
frame_extraction = "head"
"""


class MusubiDatasets:
    """One JSONL per frame rate, all named in ``dataset.toml``."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        frames: dict[str, int] = defaultdict(lambda: _MAX_FRAMES)
        for pair in pairs:
            rate = f"{pair.facts.fps:.3f}"
            seen = int(pair.facts.duration_s * _MODEL_FPS)
            frames[rate] = min(frames[rate], max(1, (seen - 1) // 4 * 4 + 1))
            line = {"video_path": pair.path, "caption": pair.caption}
            with (folder / _jsonl(rate)).open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        datasets = [
            _DATASET.format(
                # A JSON string is a TOML string too.
                jsonl=json.dumps(str(target / _jsonl(rate)), ensure_ascii=False),
                cache=json.dumps(str(target / f"cache-{rate.replace('.', '_')}fps"), ensure_ascii=False),
                fps=float(rate),
                frames=number,
            )
            for rate, number in sorted(frames.items())
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
    use="--dataset_config {target}/dataset.toml",
    has_absolute_paths=True,
    may_reference=True,
)
