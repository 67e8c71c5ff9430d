"""SimpleTuner: each line of a text file is a caption of its own; a dataloader JSON names the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD, FFMPEG, UPRIGHT_NOWHERE
from framescribe.export.sidecars import Sidecars

DATALOADER = "multidatabackend.json"

_FRAMES = (9, 25, 49, 81)
"""Of a clip, at least: each clip is trained on with the largest of these that it has. All are 8n + 1, so 4n + 1 too."""


class SimpleTunerFolder(Sidecars):
    """Pairs in ``videos``, and the dataloader's settings above: a data set for each length that there are clips of.

    A data set has one number of frames, so one set for all would cut every clip to the shortest.
    """

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        lengths: set[int] = set()

        def noted() -> Iterator[Pair]:
            for pair in pairs:
                lengths.add(
                    max(frames for frames in _FRAMES if frames <= max(pair.facts.num_frames, _FRAMES[0]))
                )
                yield pair

        super().write(noted(), folder, target)
        ends = dict(pairwise(_FRAMES))
        backends = [
            _dataset(target, self.videos, frames, ends.get(frames)) for frames in _FRAMES if frames in lengths
        ]
        backends.append(
            {
                "id": f"{target.name}-text",
                "type": "local",
                "dataset_type": "text_embeds",
                "default": True,
                "cache_dir": f"cache/{target.name}/text",
            }
        )
        text = json.dumps(backends, indent=2, ensure_ascii=False)
        (folder / DATALOADER).write_text(text + "\n", encoding="utf-8")


def _dataset(target: Path, videos: str, frames: int, end: int | None) -> dict[str, Any]:
    name = f"{target.name}-{frames}"
    longest = {} if end is None else {"max_frames": end - 1}
    return {
        "id": name,
        "type": "local",
        "dataset_type": "video",
        "instance_data_dir": str(target / videos),
        "caption_strategy": "textfile",
        "resolution": 480,
        "resolution_type": "pixel",
        "video": {"num_frames": frames, "min_frames": frames} | longest,
        "cache_dir_vae": f"cache/{name}/vae",
    }


FORMAT = Format(
    name="simpletuner",
    trainer="SimpleTuner",
    layout=SimpleTunerFolder("videos", "videos"),
    reads=replace(
        DECORD,
        suffixes=DECORD.suffixes - {".vob", ".y4m"} | {".ogv"},
        codecs=FFMPEG - {"png"} | {"theora"},
        upright=UPRIGHT_NOWHERE,
        min_frames=min(_FRAMES),
    ),
    use='--data_backend_config "{target}/' + DATALOADER + '"',
)
