"""VideoX-Fun: one JSON list; an entry without ``type`` would be taken for an image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD

_METADATA = "metadata.json"


class VideoXFunList:
    """``[{"file_path", "text", "type": "video"}]``, an entry a line."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        with (folder / _METADATA).open("w", encoding="utf-8", newline="\n") as file:
            before = "[\n"
            for pair in pairs:
                entry = {"file_path": pair.path, "text": pair.caption, "type": "video"}
                file.write(before + json.dumps(entry, ensure_ascii=False))
                before = ",\n"
            file.write("\n]\n")

    def read(self, folder: Path) -> Iterator[tuple[str, str]]:
        for entry in json.loads((folder / _METADATA).read_text(encoding="utf-8")):
            yield entry["file_path"], entry["text"]


FORMAT = Format(
    name="videox-fun",
    trainer="VideoX-Fun",
    layout=VideoXFunList(),
    reads=replace(DECORD, min_frames=4, fps=16),  # its --video_sample_stride
    use='--train_data_dir "{target}" --train_data_meta "{target}/' + _METADATA + '"',
    clips="train",
    may_reference=True,
)
