"""finetrainers: it reads both lists with ``splitlines``, which also splits on U+2028 and its like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.line_lists import LineLists
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD

_BUCKETS = [[frames, 480, 832] for frames in (1, 9, 25, 49, 81)]


class FinetrainersLists(LineLists):
    """The two lists, and ``dataset.json`` that names them; its buckets leave no clip without one."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        super().write(pairs, folder, target)
        dataset = {
            "data_root": str(target),
            "dataset_type": "video",
            "video_resolution_buckets": _BUCKETS,
            "reshape_mode": "bicubic",
        }
        text = json.dumps({"datasets": [dataset]}, indent=2, ensure_ascii=False)
        (folder / "dataset.json").write_text(text + "\n", encoding="utf-8")


FORMAT = Format(
    name="finetrainers",
    trainer="finetrainers",
    layout=FinetrainersLists("prompts.txt"),
    reads=replace(DECORD, frame_step=8, side_step=32),
    use='--dataset_config "{target}/dataset.json"',
    may_reference=True,
)
