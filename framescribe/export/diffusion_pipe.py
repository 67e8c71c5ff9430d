"""diffusion-pipe: the whole text file is the caption; a dataset TOML names the folder, whose every file it opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV
from framescribe.export.sidecars import Sidecars

_DATASET = """\
# Made by framescribe. Choose resolutions and frame_buckets for your model and memory.
resolutions = [512]
enable_ar_bucket = true
min_ar = 0.5
max_ar = 2.0
num_ar_buckets = 7
# A clip is trained on with the largest of these that it has, at the model's rate; one with fewer than 9 is skipped.
frame_buckets = [1, 9, 17, 33, 49, 65, 81]

[[directory]]
path = {path}
num_repeats = 1
"""


class DiffusionPipeFolder(Sidecars):
    """Pairs in ``videos``, and ``dataset.toml`` above."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        super().write(pairs, folder, target)
        # A JSON string is a TOML string too.
        path = json.dumps(str(target / self.videos), ensure_ascii=False)
        (folder / "dataset.toml").write_text(_DATASET.format(path=path), encoding="utf-8")


FORMAT = Format(
    name="diffusion-pipe",
    trainer="diffusion-pipe",
    layout=DiffusionPipeFolder("videos", "videos"),
    reads=replace(
        PYAV,
        # A file whose header does not tell the number of frames is taken for a picture, but for Matroska.
        suffixes=frozenset({".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".avi"}),
        min_s=9 / 16,  # nine frames at sixteen a second, the slowest of its models
        side_step=32,
    ),
    use='dataset = "{target}/dataset.toml" in the training TOML',
)
