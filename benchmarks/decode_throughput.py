"""Decoding: a bare PyAV loop, framescribe in one process, and framescribe's workers over the same clips.

    python -m benchmarks.decode_throughput examples tests/data/clips --many 200 --json decode_throughput.json

Frames asked for: 24 under ``uniform``, which reads a clip to its end, so that all of them decode the same frames. Every
way runs over all clips in every round, in turn, and its best round counts. Frames per second of CPU time (this process
and its workers, all threads) are the throughput per core; wall clock depends on what else the machine does. Clips of
24 frames or more. Last line: JSON.

    bare           packets to RGB arrays, 24 frames kept, one decoding thread; nothing is checked, nothing indexed
    in_process     decode_frames
    worker         one worker process, pixels read through shared memory
    workers        one worker process per core
    model_size     decode_frames, then scaled to 224 in uint8 by FFmpeg: what would be sent if workers scaled

``queue_loss``: the part of ``in_process``'s throughput per core that ``worker`` does not reach. Memory: of this process
and its workers together, over many clips, after each tenth of them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import av
import numpy as np
import psutil
import torch

from benchmarks.provenance import provenance, publish
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames, probe
from framescribe.video.transform import MEAN, STD, transform
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DecodeWorkers

SAMPLING = FrameSampling("uniform", 24)
SIZE = 224


def bare(clip: Clip) -> int:
    """A plain PyAV loop: decodes every frame, converts the 24 of them that are kept."""
    with av.open(clip.source_video) as container:
        stream = container.streams.video[0]
        wanted = set(np.linspace(0, stream.frames - 1, 24).round().astype(int).tolist())
        kept = [
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(stream))
            if number in wanted
        ]
    return touched(np.stack(kept))


def touched(pixels: np.ndarray) -> int:
    """Reads something of every row, so that its memory has to be there."""
    return int(pixels[..., 0].sum())


def in_process(clip: Clip) -> int:
    return touched(decode_frames(clip, SAMPLING).pixels)


def model_size(clip: Clip) -> int:
    return sum(scaled(picture).size for picture in decode_frames(clip, SAMPLING).pixels)


def scaled(picture: np.ndarray) -> np.ndarray:
    """uint8 [3, H, W] with the short side scaled to 224, bilinear, rounded to uint8."""
    height, width = picture.shape[1:]
    factor = SIZE / min(height, width)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.transpose(1, 2, 0)), "rgb24")
    small = frame.reformat(int(width * factor), int(height * factor), interpolation="FAST_BILINEAR")
    return small.to_ndarray()


def rounding_error(clip: Clip) -> float:
    """Largest change of a normalised pixel when pictures are rounded to uint8 after scaling, exactly bilinear."""
    exact = transform(decode_frames(clip, SAMPLING).pixels, SIZE)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    rounded = (((exact * std + mean) * 255).round() / 255 - mean) / std
    return float((rounded - exact).abs().max())


def cpu_s() -> float:
    """CPU time so far of this process and its workers, all threads."""
    this = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (this, *this.children()))


def measure(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU and of wall clock."""
    started_cpu_s, started_s = cpu_s(), time.perf_counter()
    run()
    return cpu_s() - started_cpu_s, time.perf_counter() - started_s


def all_of(way: Callable[[Clip], int], clips: list[Clip]) -> None:
    for clip in clips:
        way(clip)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--many", type=int, default=1000, help="clips over which memory is watched")
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args()
    made_by = provenance()
    found = sorted({path for folder in settings.folders for path in folder.rglob("*.mp4")})
    clips = [clip for clip in (Clip(str(path)) for path in found) if probe(clip).facts.num_frames >= 24]
    cores = os.cpu_count() or 1

    idle: list[Worker] = []
    with DecodeWorkers(idle, timeout_s=120) as workers, ThreadPoolExecutor(cores) as pool:

        def worker(clip: Clip) -> int:
            with workers.decoded(clip, SAMPLING) as frames:
                return touched(frames.pixels)

        runs: dict[str, Callable[[], object]] = {
            way.__name__: partial(all_of, way, clips) for way in (bare, in_process, worker, model_size)
        }
        runs["workers"] = lambda: list(pool.map(worker, clips))
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for run in runs.values():  # warm files and workers
            run()
        for _ in range(settings.rounds):
            for name, run in runs.items():
                took[name].append(measure(run))
        memory_mb = [_watch(pool, worker, clips, settings.many // 10) for _ in range(10)]
    best_cpu_s = {name: min(cpu for cpu, _ in rounds) for name, rounds in took.items()}
    best_wall_s = {name: min(wall for _, wall in rounds) for name, rounds in took.items()}
    decoded = sum(probe(clip).facts.num_frames for clip in clips)
    result = {
        "clips": len(clips),
        "frames_decoded": decoded,
        "rounds": settings.rounds,
        "frames_per_cpu_s": {name: round(decoded / value) for name, value in best_cpu_s.items()},
        "frames_per_wall_s": {name: round(decoded / value) for name, value in best_wall_s.items()},
        "worker_to_bare_per_core": round(best_cpu_s["bare"] / best_cpu_s["worker"], 3),
        "queue_loss": round(1 - best_cpu_s["in_process"] / best_cpu_s["worker"], 3),
        "largest_rounding_error_at_model_size": max(map(rounding_error, clips)),
        "memory_mb_over_many": {"clips": settings.many, "after_each_tenth": memory_mb},
        **made_by,
    }
    for one in idle:
        one.close()
    publish(result, settings.json)


def _watch(pool: ThreadPoolExecutor, way: Callable[[Clip], int], clips: list[Clip], count: int) -> int:
    list(pool.map(way, (clips * count)[:count]))
    this = psutil.Process()
    return round(sum(process.memory_info().rss for process in (this, *this.children())) / 1e6)


if __name__ == "__main__":
    main()
