"""NVIDIA Cosmos (cosmos-framework): its SFT JSONL, where a clip has windows of frames with a caption each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV, UPRIGHT


class CosmosWindows(JsonEntries):
    """One window a clip: all of it, every frame."""

    def entry(self, pair: Pair) -> dict[str, Any]:
        facts = pair.facts
        return {
            "uuid": pair.stem,
            "duration": facts.duration_s,
            "width": facts.width,
            "height": facts.height,
            "vision_path": pair.path,
            "t2w_windows": [
                {
                    "start_frame": 0,
                    "end_frame": facts.num_frames - 1,  # counted in
                    "temporal_interval": 1,
                    "caption": pair.caption,
                }
            ],
        }

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        (window,) = entry["t2w_windows"]
        return entry["vision_path"], window["caption"]


FORMAT = Format(
    name="cosmos-sft",
    trainer="Cosmos SFT",
    layout=CosmosWindows("train/video_dataset_file.jsonl"),
    clips="train/videos",
    base="train",
    # It passes over others. It decodes with ffmpeg, and believes ffprobe, which counts no frames in those left out.
    reads=replace(
        PYAV,
        suffixes=PYAV.suffixes - {".mkv", ".webm", ".flv"},
        upright=UPRIGHT,
        min_frames=61,
        max_s=61.0,
        fps=24,
    ),
    use='DATASET_PATH="{target}" bash examples/launch_sft_vision_nano.sh',
    may_reference=True,
)
