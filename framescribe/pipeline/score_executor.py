"""What scores a run's clips: decoding processes here, a cluster, or a model's vision tower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from framescribe.pipeline.caption_run import Ray
from framescribe.pipeline.scoring import Scored, ScoreTask, scored_here
from framescribe.pipeline.seeing import Seeing
from framescribe.task import DecodeLimits

ScoreExecutor = Callable[[Iterator[ScoreTask]], Iterator[Scored]]


def score_executor(
    cluster: Ray | None, limits: DecodeLimits, seeing: Seeing | None
) -> AbstractContextManager[ScoreExecutor]:
    """What scores clips, for as long as the block lasts.

    Args:
        cluster: None scores in this process's decoding workers.
        limits: what reading clips may take.
        seeing: a model sees the clips as well, here.
    """
    if seeing is not None:
        return nullcontext(partial(seeing.seen_here, limits=limits))
    if cluster is None:
        return nullcontext(partial(scored_here, limits=limits))
    from framescribe.pipeline.ray.scoring import scoring_on_ray

    return scoring_on_ray(cluster, limits)
