"""Clips scored in this process's decoding workers, in completion order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import TypeVar

from framescribe.errors import ClipError
from framescribe.measured import Measured
from framescribe.scores.measure import all_failed
from framescribe.scores.scorer import Scorer
from framescribe.task import DecodeLimits
from framescribe.types import Clip
from framescribe.video.cpus import usable_cpus
from framescribe.video.scoring import score_clip
from framescribe.video.workers import DecodeWorkers
from framescribe.video_frames import VideoFrames

ScoreTask = tuple[Clip, tuple[Scorer, ...]]
Scored = tuple[Clip, tuple[Measured, ...]]
Task = TypeVar("Task")
Result = TypeVar("Result")

log = logging.getLogger("framescribe")


def score_one(task: ScoreTask, workers: DecodeWorkers | None) -> Scored:
    """A clip's scores; whatever happens to it, each scorer has a result.

    Args:
        task: the clip, and which scorers measure it.
        workers: in one of which it is decoded and measured; None does so here.
    """
    clip, scorers = task
    try:
        if workers is None or isinstance(clip.data, VideoFrames):
            return clip, score_clip(clip, scorers)
        return clip, workers.call(score_clip, clip, scorers)
    except ClipError as error:
        return clip, all_failed(scorers, error.stage, str(error))
    except Exception as error:  # the one boundary: whatever a clip does, it is rows
        log.debug("%s", clip.source_video, exc_info=True)
        return clip, all_failed(scorers, "decode", f"{clip.source_video}: {type(error).__name__}: {error}")


def scored_here(tasks: Iterator[ScoreTask], limits: DecodeLimits) -> Iterator[Scored]:
    """Scores clips side by side; a consumer that stops early leaves no work behind.

    Args:
        tasks: read as they are needed.
        limits: what reading them may take.
    """
    with decoders(limits) as (workers, pool, count):
        yield from side_by_side(tasks, partial(score_one, workers=workers), pool, count)


@contextmanager
def decoders(limits: DecodeLimits) -> Iterator[tuple[DecodeWorkers | None, ThreadPoolExecutor, int]]:
    """Decoding processes, or None for threads; threads to call them from; how many clips are read at a time."""
    count = limits.workers or usable_cpus()
    workers = None if limits.workers == 0 else DecodeWorkers([], limits.timeout_s, limits.memory_gb)
    # The processes end first, so that no thread waits for one.
    with ThreadPoolExecutor(count, thread_name_prefix="score") as pool, workers or nullcontext():
        yield workers, pool, count


def side_by_side(
    tasks: Iterator[Task], work: Callable[[Task], Result], pool: ThreadPoolExecutor, count: int
) -> Iterator[Result]:
    """What ``work`` makes of tasks, in completion order; a consumer that stops early leaves no task waiting.

    Args:
        tasks: read as they are needed.
        work: is called in threads.
        pool: of these threads; it is used up.
        count: of these threads.
    """
    try:
        running: set[Future[Result]] = set()
        while True:
            running.update(pool.submit(work, task) for task in islice(tasks, 2 * count - len(running)))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
