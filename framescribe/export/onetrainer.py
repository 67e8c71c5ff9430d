"""OneTrainer: a concept is a folder of clips with a text file each; each line of it is a caption of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV
from framescribe.export.sidecars import Sidecars


class OneTrainerConcept(Sidecars):
    """The concept's folder, a list with this one concept, and the settings that name the list."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        super().write(pairs, folder, target)
        concept = {"__version": 2, "name": target.name, "path": str(target / self.videos), "enabled": True}
        for name, content in (
            ("concepts.json", [concept]),
            ("config.json", {"concept_file_name": str(target / "concepts.json")}),
        ):
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (folder / name).write_text(text + "\n", encoding="utf-8")


FORMAT = Format(
    name="onetrainer",
    trainer="OneTrainer",
    layout=OneTrainerConcept("videos", "videos"),
    # It drops the first frame.
    reads=replace(
        PYAV,
        suffixes=frozenset({".webm", ".mkv", ".flv", ".avi", ".mov", ".wmv", ".mp4", ".mpeg", ".m4v"}),
        min_frames=2,
        fps=24,
    ),
    use='python scripts/train.py --preset-path "training_presets/Hunyuan Video/#hunyuan video LoRA.json" '
    '--config-path "{target}/config.json"',
)
