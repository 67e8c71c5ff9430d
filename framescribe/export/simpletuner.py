"""SimpleTuner: each line of a text file is a caption of its own; a dataloader JSON names the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD, FFMPEG, UPRIGHT, Reads
from framescribe.export.sidecars import Sidecars

DATALOADER = "multidatabackend.json"


class SimpleTunerFolder(Sidecars):
    """Pairs in ``videos``, and the dataloader's settings above, with frames for the shortest clip."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        frames: list[int] = []

        def counted() -> Iterator[Pair]:
            for pair in pairs:
                frames.append(pair.facts.num_frames)
                yield pair

        super().write(counted(), folder, target)
        num_frames = max(1, (min([*frames, 81]) - 1) // 4 * 4 + 1)
        backends = [
            {
                "id": target.name,
                "type": "local",
                "dataset_type": "video",
                "instance_data_dir": str(target / self.videos),
                "caption_strategy": "textfile",
                "resolution": 480,
                "resolution_type": "pixel",
                "video": {"num_frames": num_frames, "min_frames": num_frames},
                "cache_dir_vae": f"cache/{target.name}/vae",
            },
            {
                "id": f"{target.name}-text",
                "type": "local",
                "dataset_type": "text_embeds",
                "default": True,
                "cache_dir": f"cache/{target.name}/text",
            },
        ]
        text = json.dumps(backends, indent=2, ensure_ascii=False)
        (folder / DATALOADER).write_text(text + "\n", encoding="utf-8")


FORMAT = Format(
    name="simpletuner",
    trainer="SimpleTuner",
    layout=SimpleTunerFolder("videos", "videos"),
    reads=Reads(
        suffixes=DECORD.suffixes - {".vob", ".y4m"} | {".ogv"}, codecs=FFMPEG | {"theora"}, upright=UPRIGHT
    ),
    use="--data_backend_config {target}/" + DATALOADER,
)
