"""Conducts a job from inside the cluster: pass after pass over the clips that have no row yet.

A clip without a row at the end of a pass lost its worker (killed, out of memory, its host gone) more often than Ray
tries again. The next pass has only such clips; in the last one a worker has one clip at a time, so that a clip which
kills its workers takes no other with it. What has no row then is an ``error`` row. Thus whatever dies, each clip is
tried a bounded number of times, and the job ends.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framescribe.dataset.store import row_key
from framescribe.errors import DeviceError
from framescribe.pipeline.ray.clip_list import ClipList, Entry
from framescribe.pipeline.ray.stages import CaptionStage, PrepareStage, write_shard
from framescribe.pipeline.ray.telemetry import Progress, Report, Tally

if TYPE_CHECKING:
    from framescribe.pipeline.ray.job import Job, Spread

_RETRIES = 2
"""Of a task whose worker died, within a pass."""
_RESTARTS = 100
"""Of one worker within a pass."""
_WRITER_CPUS = 0.1
"""It waits for a disk or a network most of the time."""


class Conductor:
    """Runs in the cluster as an actor with several threads; dies with the command that made it."""

    def __init__(self) -> None:
        self._tally = Tally()

    def report(self, report: Report) -> None:
        """A worker's."""
        self._tally.add(report)

    def progress(self) -> Progress:
        """How far it is; messages are told once."""
        return self._tally.look()

    def run(self, job: Job, spread: Spread, clips: ClipList, frame_bytes: int, me: Any) -> Counter[str]:
        """Captions the listed clips.

        Args:
            job, spread: what and how.
            clips: as written.
            frame_bytes: of a frame, between the stages.
            me: this actor's handle, for the workers.

        Returns:
            Rows written, by status.

        Raises:
            DeviceError: the workers die, whatever the clip.
        """
        statuses: Counter[str] = Counter()
        alone = dataclasses.replace(spread, queue_clips=1, task_clips=1)
        for shard, how in enumerate((spread, spread, alone), start=job.shard):
            written: Counter[str] = Counter()
            for counts in _rows_written(job, how, clips, frame_bytes, shard, me):
                written.update(counts)
            statuses.update(written)
            if written.total() == clips.rows:
                return statuses
            if not statuses and clips.clips > spread.workers * spread.queue_clips:
                raise DeviceError("the workers died before any clip had a row; Ray's logs say why")
            left = list(_without_row(job, clips))
            self._tally.note(f"{len(left)} clips lost their worker")
            clips = ClipList.write(job.folder, left, len(left), how.task_clips)
        reason = "the worker died each time that it had this clip"
        rows = [
            dataclasses.replace(row, source_sha256=sha256)
            for task, sha256 in left
            for row in job.rows.failed(task, job.settings, "generate", f"{task.clip.source_video}: {reason}")
        ]
        job.folder.table.append([row.to_dict() for row in rows], job.fingerprint, shard)
        self._tally.note(*(f"error {row.error_message}" for row in rows))
        statuses["error"] += len(rows)
        return statuses


def _rows_written(
    job: Job, spread: Spread, clips: ClipList, frame_bytes: int, shard: int, conductor: Any
) -> Iterator[dict[str, int]]:
    """One pass; yields the rows of each shard by status."""
    import ray.data
    from ray.data import ActorPoolStrategy

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1  # clips that lose their worker come in the next pass
    context.max_consecutive_actor_init_deaths = 3
    context.enable_progress_bars = False
    # So that each task's clips are a block of their own: one row, which is larger.
    context.target_max_block_size = frame_bytes
    bounded = {"max_restarts": _RESTARTS, "max_task_retries": _RETRIES}
    shards = (
        ray.data.from_items(
            [{"slice": number} for number in range(clips.slices)], override_num_blocks=clips.slices
        )
        .map_batches(
            PrepareStage,
            fn_constructor_args=(job, spread.task_clips),
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=spread.decoders, max_tasks_in_flight_per_actor=2),
            num_cpus=spread.cpus_per_decoder,
            **bounded,
        )
        .map_batches(
            CaptionStage,
            fn_constructor_args=(job, conductor),
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(
                size=spread.workers,
                max_tasks_in_flight_per_actor=spread.calls,
                max_concurrent_calls_per_actor=spread.calls,
                enable_true_multi_threading=True,
            ),
            num_cpus=0,
            num_gpus=spread.gpus_per_worker,
            **bounded,
        )
        .map_batches(
            write_shard,
            fn_args=(job, shard),
            batch_size=spread.shard_rows,
            batch_format="pyarrow",
            num_cpus=_WRITER_CPUS,
            max_retries=_RETRIES,
        )
    )
    for table in shards.iter_batches(batch_size=None, batch_format="pyarrow"):
        for counts in table.to_pylist():
            yield {counts["status"]: counts["rows"]}


def _without_row(job: Job, clips: ClipList) -> Iterator[Entry]:
    """The listed clips with their questions that have no row in this session's shards."""
    done = job.folder.keys(since=job.shard)
    for number in range(clips.slices):
        for task, sha256 in ClipList.read(job.folder, number):
            left = task.only(lambda question: row_key(task.clip.id, question.index) not in done)  # noqa: B023
            if left is not None:
                yield left, sha256
