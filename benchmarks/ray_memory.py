"""Do the driver's memory and the object store grow with the number of clips?

    python -m benchmarks.ray_memory --json benchmarks/results/ray_memory.json

Runs the same job with so many clips, and with ten times as many, each in a process and on a local cluster of its own,
and samples four times a second: the resident memory of the command and of the conductor, and the object store in use.
All clips are one file under different ids; the model is tiny-random. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.provenance import provenance, publish
from framescribe.dataset.store import RowFolder
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.ray.clip_list import ClipList, Entry
from framescribe.pipeline.ray.cluster import connected, look_at_model
from framescribe.pipeline.ray.job import Job, pretrained
from framescribe.pipeline.ray.run import ClusterRun, spread_over
from framescribe.rows import RowMaker
from framescribe.task import ClipTask, DecodeLimits
from framescribe.types import CaptionSettings, Clip, FrameSampling, GenerationSettings
from tests.pipeline.kill_resume import make_clip


class Samples:
    """Peaks and means of what was seen."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {"driver_mb": [], "conductor_mb": [], "store_mb": []}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, float]:
        self._end.set()
        self._thread.join()
        return {
            f"{name}_{kind}": round(function(values), 1)
            for name, values in self._of.items()
            for kind, function in (("max", max), ("mean", lambda seen: sum(seen) / len(seen)))
        }

    def _sample(self) -> None:
        import ray

        me = psutil.Process()
        conductor: psutil.Process | None = None
        while not self._end.wait(0.25):
            if conductor is None:
                found = (
                    each
                    for each in me.children(recursive=True)
                    if "ray::Conductor" in " ".join(each.cmdline())
                )
                conductor = next(found, None)
            if conductor is not None and conductor.is_running():
                self._of["conductor_mb"].append(conductor.memory_info().rss / 1e6)
            self._of["driver_mb"].append(me.memory_info().rss / 1e6)
            there, free = ray.cluster_resources(), ray.available_resources()
            used = there["object_store_memory"] - free.get("object_store_memory", 0)
            self._of["store_mb"].append(used / 1e6)


def measure(clips: int, answer: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "clip.mp4"
        make_clip(video, random.Random(0))
        folder = RowFolder(str(Path(name) / "out"))
        folder.prepare()
        settings = CaptionSettings(
            sampling=FrameSampling("uniform", 4), generation=GenerationSettings(max_new_tokens=2)
        )
        with connected("local") as cluster:
            spec = ModelSpec("tiny-random", device="cpu", dtype="fp32")
            on_ray = Ray(workers=1)
            run = CaptionRun(
                sources=(str(video),),
                output=name,
                model=spec,
                batch_size=8,
                limits=DecodeLimits(1),
                executor=on_ray,
            )
            spread = spread_over(cluster, run, on_ray)
            facts = look_at_model(spec, 0)
            rows = RowMaker("tiny-random", facts.revision, facts.precision)
            captioner, preparer = pretrained(spec, rows, 8)
            job = Job(captioner, preparer, rows, settings, folder.root, "benchmark", 0, os.getcwd())
            listed = ClipList.write(folder, entries(str(video), clips), clips, spread.task_clips)
            began = time.monotonic()
            cluster_run = ClusterRun(job, spread, listed, facts.frame_bytes)
            samples = Samples()
            for _ in cluster_run:
                pass
            figures = samples.end()
            cluster_run.stop()
        answer.send(
            {
                "clips": cluster_run.written.total(),
                "seconds": round(time.monotonic() - began, 1),
                "through_the_store_mb": round(clips * 4 * facts.frame_bytes / 1e6, 1),
                **figures,
            }
        )


def entries(video: str, clips: int) -> Iterator[Entry]:
    return ((ClipTask.of(Clip(video, given_id=str(number)), ["?"]), None) for number in range(clips))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    runs = []
    for clips in (options.clips, 10 * options.clips):
        here, there = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(clips, there))
        process.start()
        there.close()
        runs.append(here.recv())
        process.join()
        print(json.dumps(runs[-1]), flush=True)
    publish({"runs": runs, **made_by}, options.json)


if __name__ == "__main__":
    main()
