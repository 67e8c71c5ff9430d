"""Clips scored on a cluster: scores are small, so that they come back here, and this process alone writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from framescribe.errors import DeviceError, UsageError
from framescribe.pipeline.caption_run import Ray
from framescribe.pipeline.ray.cluster import connected
from framescribe.pipeline.ray.plain import read_task, task_text
from framescribe.pipeline.scoring import Scored, ScoreTask, score_one
from framescribe.scores.measure import all_failed
from framescribe.scores.registry import scorers_named
from framescribe.task import ClipTask, DecodeLimits
from framescribe.video.workers import DecodeWorkers

_RETRIES = 2
"""Of a task whose process died; then its clips are tried one by one."""
_AHEAD = 2

_Text = tuple[str, tuple[str, ...]]
"""A clip as JSON, and the names of its scorers: with them no code travels."""


@contextmanager
def scoring_on_ray(
    ray: Ray, limits: DecodeLimits
) -> Iterator[Callable[[Iterator[ScoreTask]], Iterator[Scored]]]:
    """Connects to a cluster, or starts one on this host, for as long as the block lasts.

    Args:
        ray: which; its captioning workers and their queues say nothing here.
        limits: what reading a clip may take; as many are read at a time as ``limits.workers`` says, or CPUs.

    Raises:
        UsageError: it does not answer, or options are given that only captioning has.
    """
    if ray != Ray(ray.address, task_clips=ray.task_clips, cpus_per_decoder=ray.cpus_per_decoder):
        raise UsageError("`workers`, `workers_per_gpu` and `queue_clips` are for captioning; leave them out")
    with connected(ray.address) as cluster:
        at_once = limits.workers or max(1, int(cluster.cpus / ray.cpus_per_decoder))
        yield partial(_scored, ray=ray, limits=limits, at_once=at_once)


def _scored(tasks: Iterator[ScoreTask], ray: Ray, limits: DecodeLimits, at_once: int) -> Iterator[Scored]:
    """As ``scored_here``."""
    import ray as cluster
    from ray.exceptions import RayError, RayTaskError

    remote = cluster.remote(_score_clips).options(num_cpus=ray.cpus_per_decoder, max_retries=_RETRIES)
    running: dict[Any, list[ScoreTask]] = {}
    again: list[list[ScoreTask]] = []

    def start(part: list[ScoreTask]) -> None:
        texts = [
            (task_text(ClipTask(clip, ())), tuple(each.name for each in scorers)) for clip, scorers in part
        ]
        running[remote.remote(os.getcwd(), texts, limits)] = part

    try:
        while True:
            while len(running) < _AHEAD * at_once and (
                part := again.pop() if again else list(islice(tasks, ray.task_clips))
            ):
                start(part)
            if not running:
                return
            (done, *_), _ = cluster.wait(list(running), num_returns=1)
            part = running.pop(done)
            try:
                found = cluster.get(done)
            except RayTaskError as error:
                raise DeviceError(str(error)) from error
            except RayError as error:
                if len(part) > 1:
                    again += [[task] for task in part]  # which one it was is not known
                    continue
                message = f"its process died each time: {type(error).__name__}"
                found = [all_failed(part[0][1], "decode", f"{part[0][0].source_video}: {message}")]
            yield from ((clip, measured) for (clip, _), measured in zip(part, found, strict=True))
    finally:
        for reference in running:
            cluster.cancel(reference, force=True)


def _score_clips(folder: str, texts: list[_Text], limits: DecodeLimits) -> list[Any]:
    """Runs on a host: scores clips one after the other in a process that may be killed."""
    if os.path.isdir(folder):
        os.chdir(folder)
    with DecodeWorkers(_idle, limits.timeout_s, limits.memory_gb) as workers:
        return [score_one((read_task(text).clip, scorers_named(names)), workers)[1] for text, names in texts]


_idle: list[Any] = []
"""Decoding processes of this host's process, which serve one task after the other."""
