"""One GPU of a host, then all of them: does ``--ray`` caption so many times faster, and are the GPUs busy?

    python -m benchmarks.ray_two_gpus --json benchmarks/results/ray_two_gpus.json
    python -m benchmarks.ray_two_gpus --from mp4 --clips-per-worker 1024 --batch-size 256
    python -m benchmarks.ray_two_gpus --tiny --cpu       # only whether it runs

The run of ``framescribe caption --ray``, from clip list to shards, with the official sizes: each worker draws its
random weights on its own GPU from one seed. Clips are frames of noise, so that nothing is decoded, or 720p files of 6 s
(``--from mp4``); resizing, prompt, transport, generation and shards are the real ones. No caption ends before its token
limit. A rate counts the rows from the moment that all workers were ready until the last one was made; GPU busy is
NVML's, sampled in that time. Last line: JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cpu_by_part import CpuByPart
from benchmarks.provenance import provenance
from benchmarks.speed.from_files import write_videos
from framescribe.bench.official import RANDOM_MODEL
from framescribe.bench.subject import open_subject
from framescribe.caption_row import CaptionRow
from framescribe.captioner import Captioner
from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.dataset.dataset import Dataset
from framescribe.dataset.store import RowFolder
from framescribe.model.checkpoint import random_model
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import Cluster, connected
from framescribe.pipeline.ray.job import Job
from framescribe.pipeline.ray.run import ClusterRun, check_store, choose_device, spread_over
from framescribe.prepare import Prepared, Preparer
from framescribe.rows import RowMaker
from framescribe.side_rows import Scoring
from framescribe.task import ClipTask, DecodeLimits
from framescribe.types import CaptionSettings, Clip, Frames, GenerationSettings, VideoFacts
from framescribe.video.workers import DecodeWorkers

WIDTH, HEIGHT, FRAMES = 480, 320, 24
_READY = "ready-"


def subject(is_tiny: bool) -> OpenCheckpoint:
    """The sizes that are run, with tiny-random's tokenizer; no caption ends before its limit."""
    if is_tiny:
        return replace(open_checkpoint("tiny-random"), stop_ids=frozenset())
    return open_subject(RANDOM_MODEL)


def _warm_up(captioner: Captioner, is_tiny: bool) -> None:
    """One clip, so that no kernel is left to compile: the second run would find the first one's on disk."""
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=4))
    rows = RowMaker("random", "seed 0", str(captioner.precision))
    prepared = make_preparer(NoisePreparer, is_tiny, rows).prepare(
        ClipTask.of(Clip("0"), [settings.prompt]), settings
    )
    assert isinstance(prepared, Prepared)
    session = captioner.session(settings)
    session.add(prepared)
    while len(session):
        session.step()
    session.close()


def make_captioner(is_tiny: bool, device: str, batch_size: int, folder: str) -> Captioner:
    """Random weights on this worker's device, with all kernels compiled; says when it is ready."""
    precision, checkpoint = choose_precision(ModelSpec(device=device)), subject(is_tiny)
    model = random_model(checkpoint.config, precision.device, precision.dtype, seed=0)
    captioner = Captioner(model, checkpoint, precision, batch_size)
    _warm_up(captioner, is_tiny)
    Path(folder, f"{_READY}{os.getpid()}").write_text(str(time.time()))
    return captioner


class NoisePreparer(Preparer):
    """Prepares frames of noise instead of a file's."""

    def prepare(
        self,
        task: ClipTask,
        settings: CaptionSettings,
        workers: DecodeWorkers | None = None,
        scoring: Scoring | None = None,
    ) -> Prepared | tuple[CaptionRow, ...]:
        chance = np.random.default_rng(int(task.clip.source_video))
        pixels = chance.integers(0, 256, (FRAMES, 3, HEIGHT, WIDTH), np.uint8)
        facts = VideoFacts(WIDTH, HEIGHT, 1.0, float(FRAMES), "noise", FRAMES)
        seconds = tuple(map(float, range(FRAMES)))
        frames = Frames(pixels, tuple(range(FRAMES)), seconds, float(FRAMES), facts)
        return self.ready(task, frames, settings)


def make_preparer(kind: type[Preparer], is_tiny: bool, rows: RowMaker) -> Preparer:
    import torch

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(rows.precision, torch.float32)
    return kind(subject(is_tiny), rows, dtype=dtype)


class GpuSamples:
    """Utilisation of each GPU in percent, by NVML, twice a second; nothing where there is none."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, list[int]]] = []
        self._end = threading.Event()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def mean(self, start: float, end: float) -> list[float]:
        """For each GPU, from ``start`` to ``end``."""
        within = [loads for at, loads in self._samples if start <= at <= end]
        return [round(statistics.mean(loads), 1) for loads in zip(*within, strict=True)]

    def _sample(self) -> None:
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception as error:  # noqa: BLE001 - no NVML here
            print(f"no GPU utilisation: {error}")
            return
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        while not self._end.wait(0.5):
            loads = [pynvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles]
            self._samples.append((time.time(), loads))


def measure(
    cluster: Cluster, device: str, workers: int, videos: list[Path], options: argparse.Namespace
) -> dict[str, Any]:
    """One run with so many workers, each on a device of its own; of frames of noise without ``videos``."""
    precision = str(choose_precision(ModelSpec(device=device))) if device == "cpu" else "bf16"
    rows = RowMaker("random", "seed 0", precision)
    settings = CaptionSettings(generation=GenerationSettings(options.new_tokens, stop_loops=False))
    on_ray = Ray(workers=workers)
    wanted = CaptionRun(
        sources=("noise",), output="out", model=ModelSpec(device=device), batch_size=options.batch_size,
        limits=DecodeLimits(options.decoders), executor=on_ray,
    )  # fmt: skip
    spread = spread_over(cluster, wanted, on_ray)
    frame_bytes = (
        3 * subject(options.tiny).config.vision_config.image_size ** 2 * (4 if precision == "fp32" else 2)
    )
    check_store(spread, cluster, FRAMES * frame_bytes)
    began = time.time()
    samples, cpus = GpuSamples(), CpuByPart()
    with tempfile.TemporaryDirectory() as name:
        folder = RowFolder(str(Path(name) / "rows"))
        folder.prepare()
        job = Job(
            functools.partial(make_captioner, options.tiny, device, options.batch_size, name),
            functools.partial(make_preparer, Preparer if videos else NoisePreparer, options.tiny, rows),
            rows, settings, folder.root, "benchmark", 0, os.getcwd(),
        )  # fmt: skip
        count = workers * options.clips_per_worker
        names = (str(videos[number % len(videos)] if videos else number) for number in range(count))
        clips = (
            (ClipTask.of(Clip(name, given_id=str(number)), [settings.prompt]), None)
            for number, name in enumerate(names)
        )
        listed = ClipList.write(folder, clips, count, spread.task_clips)
        run = ClusterRun(job, spread, listed, frame_bytes)
        with samples.taken(), cpus.taken():
            for progress in run:
                for problem in progress.problems:
                    print(problem)
        run.stop()
        ready = max(float(path.read_text()) for path in Path(name).glob(f"{_READY}*"))
        made = [datetime.fromisoformat(row["created_at"]).timestamp() for row in Dataset(folder.root)]
    last = max(made)
    result = {
        "workers": workers,
        "clips": len(made),
        "statuses": dict(run.written),
        "start_s": round(ready - began, 1),
        "seconds": round(last - ready, 1),
        "clips_per_s": round(sum(at > ready for at in made) / (last - ready), 3),
        "gpu_busy_percent": samples.mean(ready, last)[:workers],
        "cpu_s_per_clip": cpus.per_clip(ready, last, sum(at > ready for at in made)),
        "all_s": round(time.time() - began, 1),
    }
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips-per-worker", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--decoders", type=int, help="processes; the CPUs that are left if not given")
    parser.add_argument("--from", dest="source", choices=("frames", "mp4"), default="frames")
    parser.add_argument("--workers", type=int, help="of the second run; one per GPU if not given")
    parser.add_argument("--tiny", action="store_true", help="the tiny random model's sizes")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as folder, connected("local") as cluster:
        videos = write_videos(Path(folder)) if options.source == "mp4" else []
        device = choose_device("cpu" if options.cpu else "cuda", cluster)
        workers = options.workers or max(2, cluster.gpus)
        one, many = (measure(cluster, device, count, videos, options) for count in (1, workers))
    result = {
        "one": one,
        "many": many,
        "ratio": round(many["clips_per_s"] / one["clips_per_s"], 3),
        "new_tokens": options.new_tokens,
        "batch_size": options.batch_size,
        "from": options.source,
        "model": "tiny sizes" if options.tiny else "official sizes",
        **made_by,
    }
    line = json.dumps(result)
    if options.json:
        options.json.write_text(line + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
