"""CogVideo's SAT code: it finds ``.mp4`` files and turns each path into its label's by replacing words in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framescribe.export.pair import Format, Pair
from framescribe.export.reads import DECORD, Reads
from framescribe.export.sidecars import Sidecars
from framescribe.types import VideoFacts

FPS = 8
FRAMES = 49
SKIPPED = 3
"""Rate, number of frames, and frames that are left out at either end, as its settings have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SatReads(Reads):
    """As its ``SFTDataset`` picks frames: of some lengths it would read past the end, which ends the training."""

    def problem(self, suffix: str, facts: VideoFacts) -> tuple[str, str] | None:
        found = Reads.problem(self, suffix, facts)
        if found is None and facts.num_frames / facts.fps * FPS > FRAMES:
            span = int(FRAMES / FPS * facts.fps)
            step = span // FRAMES
            last = SKIPPED + (span - 1) // step * step
            if last >= facts.num_frames:
                return (
                    "the trainer would read past its end",
                    f"{facts.num_frames} frames; it asks for {last + 1}",
                )
        return found


class SatFolder(Sidecars):
    """Pairs in ``videos`` and ``labels``, and ``data.yaml`` with the settings that name them."""

    def write(self, pairs: Iterator[Pair], folder: Path, target: Path) -> None:
        super().write(pairs, folder, target)
        path = json.dumps(str(target), ensure_ascii=False)
        settings = f"args:\n  train_data: [{path}]\n  valid_data: [{path}]\n"
        (folder / "data.yaml").write_text(settings, encoding="utf-8")


FORMAT = Format(
    name="cogvideo-sat",
    trainer="CogVideo SAT",
    layout=SatFolder("videos", "labels"),
    reads=SatReads(
        suffixes=frozenset({".mp4"}),
        upright=DECORD.upright,
        # One that is left after those at either end.
        min_frames=2 * SKIPPED + 1,
        frame_step=4,
    ),
    use='train_video.py --base configs/cogvideox_2b_lora.yaml configs/sft.yaml "{target}/data.yaml"',
    # path.replace(".mp4", ".txt").replace("videos", "labels"), everywhere in it
    forbidden_in_target=("videos", ".mp4"),
)
