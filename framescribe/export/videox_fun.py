"""VideoX-Fun: one JSON list; an entry without ``type`` would be taken for an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD

_METADATA = "metadata.json"


class VideoXFunList(JsonEntries):
    """``[{"file_path", "text", "type": "video"}]``."""

    def entry(self, pair: Pair) -> dict[str, Any]:
        return {"file_path": pair.path, "text": pair.caption, "type": "video"}

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        return entry["file_path"], entry["text"]


FORMAT = Format(
    name="videox-fun",
    trainer="VideoX-Fun",
    layout=VideoXFunList(_METADATA),
    reads=replace(DECORD, min_frames=4, fps=16),  # its --video_sample_stride
    use='--train_data_dir "{target}" --train_data_meta "{target}/' + _METADATA + '"',
    clips="train",
    may_reference=True,
)
