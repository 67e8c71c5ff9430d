"""The executor that captions on a cluster: it takes the dataset folder, and only progress comes back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from framescribe.bound import TimeSpent
from framescribe.pipeline.caption_run import CaptionRun, Ray
from framescribe.pipeline.executor import MadeBy, Work
from framescribe.pipeline.observer import Observer
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.cluster import ModelFacts, check_hosts, connected, look_at_model
from framescribe.pipeline.ray.job import Job, Spread, pretrained
from framescribe.pipeline.ray.run import ClusterRun, check_store, choose_device, spread_over
from framescribe.pipeline.ray.telemetry import Progress
from framescribe.pipeline.run_session import RunSession
from framescribe.rows import RowMaker


class OnRay:
    """A cluster that was looked at, and what will run on it.

    Args:
        run: says with which model, on the device of all workers.
        spread: over the cluster.
        facts: of the model, as a worker sees it.
    """

    def __init__(self, run: CaptionRun, spread: Spread, facts: ModelFacts) -> None:
        self._run, self._spread, self._facts = run, spread, facts
        self.made_by = MadeBy(facts.precision, facts.hardware, lambda: facts.revision)

    @classmethod
    @contextmanager
    def connected(cls, run: CaptionRun, ray: Ray) -> Iterator[OnRay]:
        """Connects to a cluster, or starts one on this host, for as long as the block lasts, and looks at it.

        Raises:
            UsageError: it does not answer, or lacks something; the message says what.
        """
        with connected(ray.address) as cluster:
            run = replace(run, model=replace(run.model, device=choose_device(run.model.device, cluster)))
            spread = spread_over(cluster, run, ray)
            facts = look_at_model(run.model, spread.gpus_per_worker)
            check_store(spread, cluster, run.settings.sampling.num_frames * facts.frame_bytes)
            yield cls(run, spread, facts)

    def caption(self, work: Work, observer: Observer) -> None:
        """See ``Executor``."""
        assert work.session is not None, "on a cluster rows go to a folder"
        session, folder = work.session, work.session.folder
        check_hosts(folder)
        entries = ((task, session.hashes.take(task)) for task in work.tasks)
        clips = ClipList.write(folder, entries, work.total, self._spread.task_clips)
        work.started = time.monotonic()
        run = ClusterRun(self._job(session), self._spread, clips, self._facts.frame_bytes)
        try:
            with observer.captioning(clips.rows, None):
                for progress in run:
                    _count(work.spent, progress)
                    observer.progress(progress.statuses.total(), _detail(progress))
                    for problem in progress.problems:
                        observer.problem(problem)
            ClipList.remove(folder)
        finally:
            run.stop()
            work.statuses.update(run.written)
            session.took(run.written.total(), time.monotonic() - work.started)

    def _job(self, session: RunSession) -> Job:
        run, facts, folder = self._run, self._facts, session.folder
        rows = RowMaker(run.model.label, facts.revision, facts.precision)
        spec = replace(run.model, revision=facts.commit or run.model.revision, dtype=facts.dtype)
        captioner, preparer = pretrained(spec, rows, run.batch_size)
        return Job(
            captioner=captioner,
            preparer=preparer,
            rows=rows,
            settings=replace(run.settings, repair=run.repairs),
            output=folder.root if folder.is_local else folder.name,
            fingerprint=session.run.fingerprint,
            shard=folder.table.next_number(),
            side_shard=max(folder.features.next_number(), folder.scores.next_number()),
            working_folder=os.getcwd(),
            limits=run.limits,
            scores=run.scores,
            features=run.features,
            heads=run.heads,
        )


def _count(spent: TimeSpent, progress: Progress) -> None:
    """An engine that has no clip waits for one to be decoded. Before there are engines nothing is counted."""
    if progress.busy:
        busy = sum(progress.busy.values()) / len(progress.busy)
        spent.divide({"model": busy, "decoding": 1 - busy})
    else:
        spent.start()


def _detail(progress: Progress) -> str:
    workers = len(progress.busy)
    if not workers:
        return "workers starting"
    busy = sum(progress.busy.values()) / workers
    return (
        f"{workers} workers {busy:.0%} busy, {sum(progress.queue_clips.values())} queued, "
        f"{progress.statuses['error']} errors"
    )
