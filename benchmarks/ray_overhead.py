"""What does Ray itself cost a clip, and how many clips should a task have? No model, no decoding: empty clips and rows.

    python -m benchmarks.ray_overhead --json benchmarks/results/ray_overhead.json

The stages of a run with their queues, between which 24 bf16 frames a clip (7.2 MB) travel. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.provenance import provenance, publish
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import connected
from framescribe.pipeline.ray.job import Job
from framescribe.pipeline.ray.run import ClusterRun, spread_over
from framescribe.pipeline.store import RowFolder
from framescribe.prepare import Prepared
from framescribe.rows import RowMaker
from framescribe.types import CaptionRow, CaptionSettings, Clip, Frames, Prompt, VideoFacts

FRAMES, SIDE = 24, 224


class Nothing:
    """Stands for captioner, session and preparer: a row for each clip at once."""

    def __init__(self, rows: RowMaker) -> None:
        self._rows, self._in_it = rows, list[Prepared]()

    def session(self, settings: CaptionSettings) -> Nothing:
        return self

    def prepare(self, clip: Clip, settings: CaptionSettings, workers: object) -> Prepared:
        facts = VideoFacts(1, 1, 1.0, 1.0, "none", FRAMES)
        frames = Frames(torch.empty(0, 3, 0, 0, dtype=torch.uint8).numpy(), (), (), 0.0, facts)
        pixels = torch.zeros(FRAMES, 3, SIDE, SIDE, dtype=torch.bfloat16)
        return Prepared(clip, frames, Prompt((0,), (0,), (False,), 1), pixels)

    def add(self, prepared: Prepared) -> None:
        self._in_it.append(prepared)

    def __len__(self) -> int:
        return len(self._in_it)

    def step(self) -> Sequence[CaptionRow]:
        rows = [
            self._rows.failed(each.clip, CaptionSettings(), "generate", "nothing") for each in self._in_it
        ]
        self._in_it.clear()
        return rows


def made(rows: RowMaker) -> Any:
    return Nothing(rows)


def measure(clips: int, task_clips: int) -> dict[str, float]:
    """Clips per second of one run, from the first row seen to the last."""
    rows = RowMaker("none", "none", "bf16")
    with tempfile.TemporaryDirectory() as name, connected("local") as cluster:
        folder = RowFolder(Path(name) / "out")
        folder.prepare()
        spread = spread_over(cluster, "cpu", workers=1, decoders=1, batch_size=64, task_clips=task_clips)
        job = Job(
            partial(made, rows),
            partial(made, rows),
            rows,
            CaptionSettings(),
            folder.root,
            "none",
            0,
            os.getcwd(),
        )
        entries: Iterator[tuple[Clip, None]] = ((Clip(str(number)), None) for number in range(clips))
        listed = ClipList.write(folder, entries, clips, task_clips)
        run = ClusterRun(job, spread, listed, 3 * SIDE * SIDE * 2)
        seen: list[tuple[float, int]] = []
        for progress in run:
            seen.append((time.monotonic(), progress.statuses.total()))
        run.stop()
    first = next(index for index, (_, done) in enumerate(seen) if done)
    last = next(index for index, (_, done) in enumerate(seen) if done == seen[-1][1])
    (start, before), (end, after) = seen[first], seen[last]
    return {
        "task_clips": task_clips,
        "clips": clips,
        "clips_per_s": round((after - before) / (end - start), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs = []
    for task_clips in (1, 4, 16):
        runs.append(measure(options.clips, task_clips))
        print(json.dumps(runs[-1]), flush=True)
    publish({"runs": runs, **provenance()}, options.json)


if __name__ == "__main__":
    main()
