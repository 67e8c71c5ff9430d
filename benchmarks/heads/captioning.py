"""What features, and six labels' head over them, add to captioning: each round runs the three ways one after another.

A checkpoint captions clips through ``framescribe.caption``, into a folder. ``random``, weights of the official sizes,
runs the engine alone on frames from memory: what it adds is the pooling on the device, the copy to the host, and there
the head.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framescribe import Clip, GenerationSettings, caption
from framescribe.bench.clips import ClipRunner
from framescribe.bench.official import RANDOM_MODEL
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.bench.workload import SHORT
from framescribe.dataset.store import RowFolder
from framescribe.engine.engine import Engine
from framescribe.feature_row import PARTS
from framescribe.heads.head import Head
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.types import CaptionSettings

Ways = dict[str, Callable[[], float]]
"""What captions all clips once, and gives its seconds."""
PLAIN, FEATURES, HEAD = "plain", "features", "features and head"


def captioning(model: str, clips: Sequence[Clip], rounds: int, scratch: Path) -> dict[str, Any]:
    ways, told = of_random_weights() if model == RANDOM_MODEL else of_a_checkpoint(model, clips, scratch)
    for run in ways.values():
        run()  # warms up
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        # Whatever slows the machine for a while should meet each way first, second and last equally often.
        for way in (list(ways) * 2)[turn % len(ways) :][: len(ways)]:
            started = time.process_time()
            seconds[way].append(ways[way]())
            cpu[way].append(time.process_time() - started)
    return {**told, "model": model, "rounds": rounds, "wall": compared(seconds), "cpu": compared(cpu)}


def compared(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median seconds of each way; and over rounds the median, and the quartiles, of its share of the plain way."""
    figures: dict[str, Any] = {}
    for way, each in seconds.items():
        shares = [one / plain for one, plain in zip(each, seconds[PLAIN], strict=True)]
        low, middle, high = statistics.quantiles(shares, n=4) if way != PLAIN else (1.0, 1.0, 1.0)
        figures[way] = {
            "median_s": round(statistics.median(each), 4),
            "of_plain": round(middle, 4),
            "quartiles": [round(low, 4), round(high, 4)],
        }
    plain = seconds[PLAIN]
    figures["spread_of_plain"] = round(statistics.stdev(plain) / statistics.mean(plain), 4)
    return figures


def of_a_checkpoint(model: str, clips: Sequence[Clip], scratch: Path) -> tuple[Ways, dict[str, Any]]:
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=32), repair=False)
    runs = iter(range(1_000_000))

    def run(**more: Any) -> float:
        output = scratch / str(next(runs))
        return caption(clips, output, model=model, settings=settings, progress=False, **more).seconds

    run(features=True)
    row = next(iter(RowFolder(str(scratch / "0")).features.rows()))
    head = six_labels(row["features_of"], len(row["features"]) // 2)
    ways = {PLAIN: run, FEATURES: partial(run, features=True), HEAD: partial(run, features=True, heads=head)}
    return ways, {"clips": len(clips)}


def of_random_weights() -> tuple[Ways, dict[str, Any]]:
    precision = choose_precision(ModelSpec(RANDOM_MODEL))
    subject = open_subject(RANDOM_MODEL)
    engine = Engine(build_subject(subject, precision), frozenset(), SHORT.batch, kv_dtype=precision.kv_dtype)
    size = PARTS * max(subject.config.hidden_size, subject.config.vision_config.hidden_size)
    head, preparer = six_labels("random", size), subject_preparer(subject, precision)
    looks: dict[str, Callable[[torch.Tensor], object] | None] = {
        PLAIN: None,
        FEATURES: lambda _: None,
        HEAD: lambda pooled: head.probabilities(pooled.numpy()[None]),
    }
    runners = {way: ClipRunner(engine, preparer, SHORT, look_at=look) for way, look in looks.items()}
    runners[PLAIN].warm_up()
    return {way: runner.run for way, runner in runners.items()}, {"clips": SHORT.clips}


def six_labels(made_with: str, size: int) -> Head:
    return Head(
        "six", tuple("abcdef"), made_with, np.ones((6, size), np.float32), np.zeros(6, np.float32), {}
    )
