"""A job on a cluster as the command sees it: spread over what there is, begun, watched, ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from framescribe.errors import DeviceError, UsageError
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import Cluster, on_head
from framescribe.pipeline.ray.conductor import Conductor
from framescribe.pipeline.ray.job import Job, Spread
from framescribe.pipeline.ray.telemetry import Progress

_LOOK_S = 1.0
_STALL_S = 900.0
"""Without a row and without a busy engine for so long, all workers are dead for good; loading a model takes less."""
_GPU_BATCH, _CPU_BATCH = 256, 8
"""What ``choose_batch`` lets an engine decode together, at most, if the user does not say."""
_ROWS_PER_WORKER = 128
"""Of a shard, if the user does not say: about a minute's at a GPU's rate."""


def choose_device(device: str, cluster: Cluster) -> str:
    """``cuda`` or ``cpu``, for all workers.

    Args:
        device: ``auto``, ``cuda`` or ``cpu``.
        cluster: as connected.

    Raises:
        UsageError: a device that the cluster has not.
    """
    if device == "cuda" and not cluster.gpus:
        raise UsageError(f"`device=cuda`: Ray sees no GPU on the cluster's {cluster.hosts} hosts")
    return "cuda" if cluster.gpus and device != "cpu" else "cpu"


def spread_over(cluster: Cluster, run: CaptionRun, ray: Ray) -> Spread:
    """Fills in what was not given from what the cluster has.

    Args:
        cluster: as connected.
        run: on ``choose_device``'s device. Decoders, unless it says: the CPUs that are left when each worker has one.
            Rows per shard, unless it says: 128 for each worker, at most 1,000.
        ray: as the user gave it.
    """
    on_gpus = run.model.device == "cuda"
    workers = ray.workers or (cluster.gpus * ray.workers_per_gpu if on_gpus else 1)
    batch = run.batch_size or (_GPU_BATCH if on_gpus else _CPU_BATCH)
    cpus_left = int((cluster.cpus - workers) / ray.cpus_per_decoder)
    return Spread(
        workers=workers,
        gpus_per_worker=1 / ray.workers_per_gpu if on_gpus else 0,
        decoders=run.limits.workers or max(1, cpus_left),
        cpus_per_decoder=ray.cpus_per_decoder,
        queue_clips=ray.queue_clips or batch + max(ray.task_clips, batch // 4),
        task_clips=ray.task_clips,
        shard_rows=run.rows_per_shard or min(1000, _ROWS_PER_WORKER * workers),
    )


def check_store(spread: Spread, cluster: Cluster, clip_bytes: int) -> None:
    """Compares the shared memory that the queues take at most with what there is.

    Raises:
        UsageError: too little.
    """
    needed = spread.store_bytes(clip_bytes)
    if needed > cluster.store_bytes:
        raise UsageError(
            f"Ray's object store has {cluster.store_bytes / 1e9:.1f} GB on all hosts together; {spread.workers} "
            f"workers with {spread.queue_clips} clips each and {spread.decoders} decoders need {needed / 1e9:.1f} GB. "
            "Start Ray with a larger --object-store-memory, or give a smaller `queue_clips` or `decode_workers`"
        )


class ClusterRun:
    """A job under way. Iterating looks at it each second, until it ends.

    Args:
        job, spread: what and how.
        clips: as written to the job's folder.
        frame_bytes: of a frame, as the model takes it.

    Attributes:
        written: when it has ended, rows in shards by status.
    """

    def __init__(self, job: Job, spread: Spread, clips: ClipList, frame_bytes: int) -> None:
        import ray

        self.written: Counter[str] = Counter()
        # Within the cluster, so that a client (ray://) need not run Ray Data, and blocks need not reach it.
        conductor = ray.remote(Conductor).options(
            num_cpus=0, max_concurrency=4, scheduling_strategy=on_head()
        )
        self._conductor: Any = conductor.remote()
        self._end = self._conductor.run.remote(job, spread, clips, frame_bytes, self._conductor)

    def __iter__(self) -> Iterator[Progress]:
        """
        Raises:
            DeviceError: the workers die, or none works any more; what was written is kept.
        """
        import ray

        total, alive = 0, time.monotonic()
        ended: list[Any] = []
        while not ended:
            ended, _ = ray.wait([self._end], timeout=_LOOK_S)
            progress: Progress = _answer(self._conductor.progress.remote())
            if progress.statuses.total() > total or any(progress.busy.values()):
                total, alive = progress.statuses.total(), time.monotonic()
            if time.monotonic() - alive > _STALL_S:
                raise DeviceError(f"no worker has done anything for {_STALL_S:g} s; Ray's logs say why")
            yield progress
        self.written = _answer(self._end)

    def stop(self) -> None:
        """Ends the job and all its processes, if it has not ended."""
        import ray

        ray.kill(self._conductor)


def _answer(reference: Any) -> Any:
    """The conductor's; what it raised, or its end, as a DeviceError."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause if isinstance(error.cause, DeviceError) else DeviceError(str(error)) from error
    except RayError as error:
        raise DeviceError(f"the cluster lost the run: {error}") from error
