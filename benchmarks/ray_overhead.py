"""What does Ray itself cost a clip, by clips per task, clips per worker, decoders? No model, no decoding: empty rows.

    python -m benchmarks.ray_overhead --json benchmarks/results/ray_overhead.json

The stages of a run with their queues, between which 24 bf16 frames a clip (7.2 MB) travel. Every setting runs once in
every round, as other work on the machine shows in the rates. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.provenance import provenance, publish
from framescribe.caption_row import CaptionRow
from framescribe.dataset.store import RowFolder
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import connected
from framescribe.pipeline.ray.job import Job, Spread
from framescribe.pipeline.ray.run import ClusterRun, spread_over
from framescribe.prepare import Prepared
from framescribe.rows import RowMaker
from framescribe.task import ClipTask, DecodeLimits
from framescribe.types import CaptionSettings, Clip, Frames, Prompt, VideoFacts

FRAMES, SIDE = 24, 224
KNOBS: tuple[dict[str, int], ...] = (
    {}, {"task_clips": 1}, {"task_clips": 16},
    {"queue_clips": 1}, {"queue_clips": 16}, {"decoders": 2},
)  # fmt: skip


class Nothing:
    """Stands for captioner, session and preparer: a row for each clip at once."""

    def __init__(self, rows: RowMaker) -> None:
        self._rows, self._in_it = rows, list[Prepared]()

    def session(self, settings: CaptionSettings, beside: object) -> Nothing:
        return self

    def prepare(
        self, task: ClipTask, settings: CaptionSettings, workers: object, scoring: object
    ) -> Prepared:
        facts = VideoFacts(1, 1, 1.0, 1.0, "none", FRAMES)
        frames = Frames(torch.empty(0, 3, 0, 0, dtype=torch.uint8).numpy(), (), (), 0.0, facts)
        pixels = torch.zeros(FRAMES, 3, SIDE, SIDE, dtype=torch.bfloat16)
        return Prepared(task, frames, (Prompt((0,), (0,), (False,), 1),), pixels, tuple(range(FRAMES)))

    def upload(self, prepared: Prepared) -> Prepared:
        return prepared

    def add(self, prepared: Prepared) -> None:
        self._in_it.append(prepared)

    def __len__(self) -> int:
        return len(self._in_it)

    def step(self) -> Sequence[CaptionRow]:
        rows = [
            row
            for each in self._in_it
            for row in self._rows.failed(each.task, CaptionSettings(), "generate", "nothing")
        ]
        self._in_it.clear()
        return rows


def made(rows: RowMaker) -> Any:
    return Nothing(rows)


def measure(clips: int, knobs: dict[str, int]) -> tuple[Spread, float]:
    """One run, and its clips per second from the first row seen to the last; ``knobs`` are of ``Ray``."""
    rows = RowMaker("none", "none", "bf16")
    with tempfile.TemporaryDirectory() as name, connected("local") as cluster:
        folder = RowFolder(str(Path(name) / "out"))
        folder.prepare()
        decoders = knobs.get("decoders", 1)
        on_ray = Ray(workers=1, **{name: knobs[name] for name in knobs if name != "decoders"})
        wanted = CaptionRun(
            sources=("x",), output=name, model=ModelSpec(device="cpu"), batch_size=256,
            limits=DecodeLimits(decoders), executor=on_ray,
        )  # fmt: skip
        spread = spread_over(cluster, wanted, on_ray)
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
        entries = ((ClipTask.of(Clip(str(number)), ["?"]), None) for number in range(clips))
        listed = ClipList.write(folder, entries, clips, spread.task_clips)
        run = ClusterRun(job, spread, listed, 3 * SIDE * SIDE * 2)
        seen: list[tuple[float, int]] = []
        for progress in run:
            seen.append((time.monotonic(), progress.statuses.total()))
        run.stop()
    first = next(index for index, (_, done) in enumerate(seen) if done)
    last = next(index for index, (_, done) in enumerate(seen) if done == seen[-1][1])
    (start, before), (end, after) = seen[first], seen[last]
    return spread, round((after - before) / (end - start), 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    runs: list[dict[str, Any]] = [{} for _ in KNOBS]
    for _ in range(options.rounds):
        for run, knobs in zip(runs, KNOBS, strict=True):
            spread, clips_per_s = measure(options.clips, knobs)
            run |= {name: getattr(spread, name) for name in ("task_clips", "queue_clips", "decoders")}
            run.setdefault("clips_per_s", []).append(clips_per_s)
            print(json.dumps(run), flush=True)
    publish({"clips": options.clips, "runs": runs, **made_by}, options.json)


if __name__ == "__main__":
    main()
