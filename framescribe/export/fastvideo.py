"""FastVideo: a list beside the clips' folder, with the facts by which it samples frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framescribe.export.json_entries import JsonEntries
from framescribe.export.pair import Format, Pair
from framescribe.export.reads import PYAV

_FRAMES = 77
_FPS = 16
_LONGEST = 5  # times as long as what it takes, as its scripts have it


class VideosToCaptions(JsonEntries):
    """``[{"path", "cap", "fps", "num_frames", "duration", "resolution"}]``; it picks frames by number."""

    def entry(self, pair: Pair) -> dict[str, Any]:
        facts = pair.facts
        return {
            "path": pair.path,
            "cap": pair.caption,
            "resolution": {"width": facts.width, "height": facts.height},
            "fps": facts.fps,
            "duration": facts.duration_s,
            "num_frames": facts.num_frames,
        }

    def pair_in(self, entry: dict[str, Any]) -> tuple[str, str]:
        return entry["path"], entry["cap"]


FORMAT = Format(
    name="fastvideo",
    trainer="FastVideo",
    layout=VideosToCaptions("videos2caption.json"),
    base="videos",
    # It drops all others without a word.
    reads=replace(PYAV, min_s=_FRAMES / _FPS, max_s=_LONGEST * _FRAMES / _FPS, fps=_FPS),
    use="torchrun --nproc_per_node=1 -m fastvideo.pipelines.preprocess.v1_preprocessing_new --mode preprocess "
    "--model_path Wan-AI/Wan2.1-T2V-1.3B-Diffusers --workload_type t2v --preprocess.dataset_type merged "
    '--preprocess.dataset_path "{target}" --preprocess.dataset_output_dir "{target}-latents" '
    f"--preprocess.max_height 480 --preprocess.max_width 832 --preprocess.num_frames {_FRAMES} "
    f"--preprocess.train_fps {_FPS} --preprocess.video_length_tolerance_range {_LONGEST}",
)
