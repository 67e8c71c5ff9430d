"""A caption run, from its clips to its summary: ``framescribe.caption``, which the command is another spelling of."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Unpack

from framescribe.bound import said
from framescribe.dataset.row_file import RowFile
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import UsageError
from framescribe.pipeline.call_options import shows_options
from framescribe.pipeline.caption_run import CaptionOptions, CaptionRun
from framescribe.pipeline.executor import Executor, Output, Work
from framescribe.pipeline.given import Source
from framescribe.pipeline.local import ThisProcess
from framescribe.pipeline.observer import Observer, RunSummary
from framescribe.pipeline.preflight import Preflight, summarize
from framescribe.pipeline.run_clips import RunClips
from framescribe.pipeline.run_session import RunSession, open_session
from framescribe.pipeline.sidecars import Sidecars, has_sidecar
from framescribe.pipeline.sources import check_sources
from framescribe.pipeline.wanted import ScoreCondition
from framescribe.quality.duplicates import RepeatCounter
from framescribe.task import ClipTask
from framescribe.types import DEFAULT_MODEL
from framescribe.video.segment import segment
from framescribe.video.workers import DecodeWorkers


@shows_options(CaptionOptions, CaptionRun, model=DEFAULT_MODEL, executor="local")
def caption(
    sources: Source | Iterable[Source],
    output: str | PathLike[str] | None = None,
    *,
    progress: bool | Observer = True,
    **options: Unpack[CaptionOptions],
) -> RunSummary:
    """Captions videos into a dataset folder, a file of rows, or text files, as ``framescribe caption`` does.

    Into a folder it is safe to interrupt: the same call resumes where a stopped run was, and captions what is new.

    >>> from framescribe import caption
    >>> summary = caption("clips/", "new-captions/", model="tiny", progress=False)
    >>> summary.rows, summary.has_failures
    (1, False)
    >>> print(caption("clips/", "new-captions/", model="tiny", progress=False))
    Nothing to do: each clip has its row already

    Args:
        sources: one or many: videos, folders, globs, URLs, tars and lists by name (see ``docs/sources.md``); ``Clip``
            for a span; videos in memory.
        output: a folder, which later runs add to, or a URL of one; or a ``.jsonl`` or ``.parquet`` file. None writes no
            rows: the observer is given them, and the default one prints the captions.
        model: a name as in ``Captioner.from_pretrained``, or a ``ModelSpec``; or a ``Captioner``, which is loaded.
        settings: frames, prompt and decoding, the same for all clips.
        prompts: several prompts, in place of the settings' one: a row each, with ``prompt_index``, of one decoding.
        txt: also (or only) write CLIP.txt beside each video, unless its caption came out badly.
        start_s, end_s: the span to take of every video, in seconds.
        segments: ``whole``, ``window:SECONDS`` or ``scenes``: how videos are divided into clips.
        min_length_s, max_length_s: leave out shorter segments; divide longer ones evenly.
        batch_size: clips that decode together; None takes what fits.
        limits: what reading clips may take: processes, seconds, memory.
        overwrite: replace the output file, or existing text files.
        new_run: caption with other settings into the same folder. Earlier rows are kept; a clip's last one counts.
        redo: caption only clips whose last row ``failed``, is ``flagged``, or was ``rejected`` or ``imported``.
        hash_sources: record each source's SHA-256; caption again what has changed.
        where: caption only clips whose scores in the folder fulfil this SQL condition, or all of several. Clips without
            scores are left out, and counted.
        scores: also measure these clips, in the same decoding: ``all`` or names of scorers, as in ``score``.
        features: keep each clip's pooled features, from the encoding that captioning does anyway.
        heads: score each clip by these heads, which ``teach`` wrote.
        limit: caption the first so many clips of those left to do.
        sample: caption so many clips, drawn by the settings' seed; the draw does not depend on the clips' order.
        shard: (i, n): caption the i-th of n parts, from 1, by the clips' ids. Each machine needs a folder of its own.
        rows_per_shard: rows per file of the folder; a kill loses fewer. None is 1,000, on a cluster 128 a worker.
        dry_run: only report what would be captioned.
        executor: ``local``: this process; ``ray``: Ray on this host; ``Ray(…)``: a cluster; ``Endpoint(…)``: a server.
        progress: True shows a bar and what goes wrong; False shows nothing; an ``Observer`` is told of everything.

    Returns:
        How many rows were written, by status, and how long it took.

    Raises:
        UsageError: options that exclude each other, a value or source that makes no sense, a checkpoint or folder that
            cannot be used. No clip has been captioned then.
        DeviceError: what computes failed for good; what was written is kept.
        OSError: rows cannot be written any more; those before are whole.
    """
    run = CaptionRun.of(sources, output, **options)
    return run_captions(run, _observer(run, progress))


def run_captions(run: CaptionRun, observer: Observer) -> RunSummary:
    """Carries out a run; ``caption`` says what it returns and raises."""
    with ExitStack() as stack:
        check_sources(fspath(source) for source in run.sources if isinstance(source, str | Path))
        clips = _clips(run, stack)
        outputs, skipped = _outputs(run, clips)
        executor = _executor(run, stack)
        session = open_session(run, executor.made_by, stack) if run.folder else None
        report, total = _look(run, clips, session)
        if report is not None:
            observer.found(report)
        if run.dry_run:
            if session is not None and not run.new_run:
                session.check()
            return RunSummary(output=run.output, preflight=report)
        work = Work(run, _tasks(run, clips, session), total, session, outputs)
        note = f"{skipped} skipped (.txt exists; `overwrite=True` captions them again)" if skipped else ""
        if not total:
            return _finish(work, observer, report, f"nothing to do: {_why_nothing(run)}", note)
        try:
            executor.caption(work, observer)
        except BaseException as error:
            is_resumable = session is not None and isinstance(error, KeyboardInterrupt)
            if work.started is not None:
                _finish(work, observer, report, note, "run it again to resume" if is_resumable else "")
            raise
        return _finish(work, observer, report, note)


def _clips(run: CaptionRun, stack: ExitStack) -> RunClips:
    rule = run.segment_rule
    reading = stack.enter_context(DecodeWorkers([], run.limits.timeout_s, run.limits.memory_gb))
    skip = has_sidecar if run.txt and not run.overwrite else lambda clip: False
    condition = ScoreCondition(run.folder, run.where) if run.folder and run.where else None
    return RunClips(run, lambda clip: segment(clip, rule, reading), skip, condition)


def _outputs(run: CaptionRun, clips: RunClips) -> tuple[list[Output], int]:
    """Where rows go beside a folder, and how many clips have a text file already.

    Raises:
        UsageError: a file is in the way, or two clips would share a text file.
    """
    outputs: list[Output] = []
    skipped: set[str] = set()
    if run.txt:
        sidecars = Sidecars()
        for clip in clips.named():
            if clip.problem is None and sidecars.add(clip).exists() and not run.overwrite:
                skipped.add(clip.id)
        sidecars.check()
        if skipped and run.output:
            raise UsageError(
                "some clips have a .txt already and would be missing from the output too; add `overwrite=True` or drop "
                "`txt`"
            )
        outputs.append(sidecars)
    if run.output and not run.folder and not run.dry_run:
        outputs.append(RowFile(run.output, run.overwrite))
    if run.output or run.txt:
        outputs.append(RepeatCounter())
    return outputs, len(skipped)


def _executor(run: CaptionRun, stack: ExitStack) -> Executor:
    if run.executor is None:
        return ThisProcess(run)
    if isinstance(run.executor, Endpoint):
        from framescribe.pipeline.endpoint import ThroughEndpoint

        return stack.enter_context(ThroughEndpoint.opened(run, run.executor))
    from framescribe.pipeline.ray.executor import OnRay

    return stack.enter_context(OnRay.connected(run, run.executor))


def _look(run: CaptionRun, clips: RunClips, session: RunSession | None) -> tuple[Preflight | None, int]:
    """What is found of the clips, if that is asked for; and rows to come, at most."""
    if session is None and not run.dry_run:
        return None, sum(len(task.questions) for task in _tasks(run, clips, None))
    report = summarize(
        clips,
        partial(ClipTask.of, prompts=run.asked) if session is None else session.left,
        (lambda clip: False) if session is None else session.is_left_out,
        run.settings.sampling,
        limit=run.limit,
        timeout_s=run.limits.timeout_s,
    )
    if session is not None:
        session.estimate(report)
    # Which clips have changed is known only when they are read.
    return report, report.clips * len(run.asked) if run.hash_sources else report.rows


def _tasks(run: CaptionRun, clips: RunClips, session: RunSession | None) -> Iterator[ClipTask]:
    task = partial(ClipTask.of, prompts=run.asked) if session is None else session.task
    return islice((left for clip in clips if (left := task(clip)) is not None), run.limit)


def _why_nothing(run: CaptionRun) -> str:
    if run.redo:
        return f"no clip of these is {run.redo}"
    if run.where:
        return "each clip that `where` takes has its row already"
    return "each clip has its row already" if run.folder else "no clip is left"


def _finish(work: Work, observer: Observer, report: Preflight | None, *notes: str) -> RunSummary:
    seconds = 0.0 if work.started is None else time.monotonic() - work.started
    summary = RunSummary(
        statuses=dict(work.statuses),
        seconds=seconds,
        output=work.run.output,
        unwritten=work.unwritten,
        unit="clip" if len(work.run.asked) == 1 else "caption",
        note="; ".join(filter(None, (*notes, *_quality(work), said(work.spent.shares, seconds)))),
        shares=work.spent.shares,
        preflight=report,
    )
    observer.finished(summary)
    return summary


def _quality(work: Work) -> Iterator[str]:
    """What a training set should not have, of this run."""
    for output in work.outputs:
        if isinstance(output, Sidecars) and output.refused:
            reasons = ", ".join(f"{number} {reason}" for reason, number in output.refused.most_common())
            yield f"no .txt for {output.refused.total()} of them ({reasons})"
        if isinstance(output, RepeatCounter) and output.count:
            yield f"{output.count} nearly repeat another clip's caption"


def _observer(run: CaptionRun, progress: bool | Observer) -> Observer:
    if isinstance(progress, Observer):
        return progress
    if not progress:
        return Observer()
    from framescribe.pipeline.progress import ProgressBar

    return ProgressBar(prints_captions=not (run.output or run.txt))
