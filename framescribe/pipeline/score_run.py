"""A score run, from its clips to its summary: ``framescribe.score``, which the command is another spelling of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from framescribe.dataset.lock import locked
from framescribe.dataset.row_file import is_row_file
from framescribe.dataset.side_writer import SIDE_ROWS_PER_SHARD, SideWriter
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.interrupts import uninterrupted
from framescribe.model_spec import ModelSpec, as_spec
from framescribe.pipeline.call_options import check_options, shows_options
from framescribe.pipeline.caption_run import Ray, executor_of, given_heads
from framescribe.pipeline.clip_choice import check_count, check_shard
from framescribe.pipeline.given import Source, listed
from framescribe.pipeline.observer import Observer, RunSummary
from framescribe.pipeline.run_clips import RunClips
from framescribe.pipeline.score_executor import score_executor
from framescribe.pipeline.scores_done import ScoresDone
from framescribe.pipeline.scoring import Scored
from framescribe.pipeline.seeing import Seeing
from framescribe.pipeline.sources import check_sources
from framescribe.scores.registry import scorers_named
from framescribe.scores.scorer import Scorer
from framescribe.side_rows import feature_rows, score_rows
from framescribe.task import DecodeLimits
from framescribe.types import DEFAULT_MODEL, Clip, FrameSampling
from framescribe.video.segment import SegmentRule, segment
from framescribe.video.workers import DecodeWorkers

if TYPE_CHECKING:
    from framescribe.heads.apply import GivenHeads
    from framescribe.heads.head import Head
    from framescribe.score_row import ScoreRow

_RUN = "scores"
"""What shards of scores say of the run that made them: scorers have versions of their own."""
_NOTHING = "nothing to do: each clip has its scores already"


class ScoreOptions(TypedDict, total=False):
    """The options of ``framescribe.score``, which says what they do."""

    scores: Literal["all"] | Iterable[str]
    features: bool
    heads: GivenHeads | Iterable[GivenHeads]
    model: str | PathLike[str] | ModelSpec
    sampling: FrameSampling
    start_s: float
    end_s: float | None
    segments: str
    min_length_s: float
    max_length_s: float | None
    limits: DecodeLimits
    redo: Literal["failed"] | None
    hash_sources: bool
    limit: int | None
    sample: int | None
    seed: int
    shard: tuple[int, int] | None
    rows_per_shard: int | None
    dry_run: bool
    executor: Literal["local", "ray"] | Ray


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRun:
    """A score run; ``framescribe.score`` says what each of its attributes does."""

    sources: tuple[Source, ...]
    folder: str
    scores: tuple[Scorer, ...] = field(default_factory=scorers_named)
    features: bool = False
    heads: tuple[Head, ...] = ()
    model: ModelSpec = field(default_factory=ModelSpec)
    sampling: FrameSampling = field(default_factory=FrameSampling)
    start_s: float = 0.0
    end_s: float | None = None
    segments: str = "whole"
    min_length_s: float = 0.0
    max_length_s: float | None = None
    limits: DecodeLimits = DecodeLimits()
    executor: Ray | None = None
    redo: Literal["failed"] | None = None
    hash_sources: bool = False
    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    shard: tuple[int, int] | None = None
    rows_per_shard: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise UsageError("there is nothing to score: name a video, a folder, a glob, a list or a URL")
        if is_row_file(self.folder):
            raise UsageError(f"scores go into a folder, not into {self.folder}")
        Clip("a video", self.start_s, self.end_s)  # raises for a span that cannot be
        for name in ("limit", "sample", "rows_per_shard"):
            check_count(name, getattr(self, name))
        check_shard(self.shard)
        if self.redo not in (None, "failed"):
            raise UsageError(f"`redo` takes failed, not {self.redo!r}")
        if self.limits.decoder == "gpu":
            raise UsageError("scores are measured where CPUs decode; leave out `decoder=gpu`")
        _ = self.segment_rule
        if self.executor is not None and self.limits.workers == 0:
            raise UsageError("on a cluster `decode_workers` must be at least 1")
        if self.needs_model and (self.executor is not None or self.dry_run):
            raise UsageError(
                "`features` and `heads` need the model here: leave out `executor` and `dry_run`; on a cluster, "
                "`caption` keeps them"
            )

    @classmethod
    def of(
        cls,
        sources: Source | Iterable[Source],
        folder: str | PathLike[str] | None,
        *,
        scores: Literal["all"] | Iterable[str] = "all",
        heads: GivenHeads | Iterable[GivenHeads] = (),
        model: str | PathLike[str] | ModelSpec = DEFAULT_MODEL,
        executor: Literal["local", "ray"] | Ray = "local",
        **options: Any,
    ) -> ScoreRun:
        """The run that a call of ``framescribe.score`` asks for."""
        from framescribe.pipeline.dataset_clips import clips_of_dataset

        check_options("score", ScoreOptions, options)
        loaded = given_heads(heads)
        scores = scores if isinstance(scores, str) else tuple(scores)
        is_seen = bool(options.get("features") or loaded)
        return cls(
            sources=tuple(listed(sources)) if folder is not None else tuple(clips_of_dataset(sources)),
            folder=fspath(sources if folder is None else folder),  # type: ignore[arg-type]  # as clips_of_dataset checks
            scores=() if is_seen and not scores else scorers_named(scores),
            heads=loaded,
            model=as_spec(model),
            executor=executor_of(executor),
            **options,
        )

    @property
    def needs_model(self) -> bool:
        """Whether clips are not only measured, but seen by a model."""
        return self.features or bool(self.heads)

    @property
    def segment_rule(self) -> SegmentRule:
        return SegmentRule.parse(self.segments, self.min_length_s, self.max_length_s)


@shows_options(ScoreOptions, ScoreRun, scores="all", model=DEFAULT_MODEL, executor="local")
def score(
    sources: Source | Iterable[Source],
    folder: str | PathLike[str] | None = None,
    *,
    progress: bool | Observer = True,
    **options: Unpack[ScoreOptions],
) -> RunSummary:
    """Measures clips into a dataset folder, as ``framescribe score`` does; a model is loaded only for features.

    It is safe to interrupt: the same call resumes, and scores what is new. Scores of an older version of a scorer are
    measured anew. What can be measured, and in which unit: ``docs/scores.md``.

    >>> from framescribe import score
    >>> summary = score("clips/", "scored/", progress=False)
    >>> summary.statuses
    {'scored': 1}

    Args:
        sources: one or many, as in ``caption``.
        folder: a dataset folder, or a URL of one; it may hold captions. None: ``sources`` is such a folder, and the
            clips are those that it has captions of.
        scores: names of scorers; ``all`` takes all but ``text`` and ``motion_vectors``. May be empty with ``features``
            or ``heads``.
        features: keep what the model sees of each clip, as captioning with ``features`` does; only its vision tower
            runs. Clips whose features are there are left out.
        heads: score what the model sees by these heads, which ``teach`` wrote.
        model: for features and heads, as in ``caption``.
        sampling: which frames the model sees, as in ``CaptionSettings``.
        start_s, end_s, segments, min_length_s, max_length_s: as in ``caption``: the same clips have the same ids.
        limits: what reading clips may take: processes, seconds, memory.
        redo: ``failed`` scores again also where a scorer failed.
        hash_sources: record each source's SHA-256; score again what has changed.
        limit: score the first so many clips of those left to do.
        sample: score so many clips, drawn by ``seed``.
        seed: of the draw; ``caption`` draws the same clips by the same seed.
        shard: (i, n): score the i-th of n parts, as in ``caption``.
        rows_per_shard: rows per file of the folder.
        dry_run: only count what would be scored.
        executor: ``local``: this process; ``ray``: Ray on this host; ``Ray(…)``: a cluster.
        progress: True shows a bar; False shows nothing; an ``Observer`` is told of everything.

    Returns:
        How many clips were ``scored``, how many had an ``error`` of at least one scorer, and how long it took.

    Raises:
        UsageError: a value or source that makes no sense, an unknown scorer, one whose package is not installed, or a
            folder that cannot be used. No clip has been scored then.
        OSError: rows cannot be written any more; those before are whole.
    """
    run = ScoreRun.of(sources, folder, **options)
    if isinstance(progress, Observer):
        return run_scores(run, progress)
    from framescribe.pipeline.progress import ProgressBar

    return run_scores(run, ProgressBar() if progress else Observer())


def run_scores(run: ScoreRun, observer: Observer) -> RunSummary:
    """Carries out a run; ``score`` says what it returns and raises."""
    with ExitStack() as stack:
        check_sources(fspath(source) for source in run.sources if isinstance(source, str | Path))
        reading = stack.enter_context(DecodeWorkers([], run.limits.timeout_s, run.limits.memory_gb))
        clips = RunClips(run, lambda clip: segment(clip, run.segment_rule, reading))
        seeing = Seeing(run.model, run.sampling, run.heads, run.features) if run.needs_model else None
        sights = () if seeing is None else seeing.scorers()
        score_all = stack.enter_context(score_executor(run.executor, run.limits, seeing))
        folder = RowFolder(run.folder)
        if not run.dry_run:
            stack.enter_context(locked(folder))
            folder.clean()
        scored = ScoresDone(folder, (*run.scores, *sights), run.redo == "failed")
        found = left = 0
        for clip in clips:
            found, left = found + 1, left + bool(scored.left(clip))
        if run.dry_run:
            note = f"{found:,} clips, {left:,} to score"
            return _finished(observer, RunSummary(output=run.folder, note=note))
        if run.hash_sources:
            left = found  # at most: what has changed is known only when it is read
        total = min(left, run.limit or left)
        if not total:
            return _finished(observer, RunSummary(output=run.folder, note=_NOTHING))
        tasks = scored.tasks_of_bytes(clips) if run.hash_sources else scored.tasks(clips)
        return _carry_out(run, score_all(islice(tasks, total)), total, scored, folder, observer)


def _carry_out(
    run: ScoreRun,
    results: Iterator[Scored],
    total: int,
    scored: ScoresDone,
    folder: RowFolder,
    observer: Observer,
) -> RunSummary:
    statuses: Counter[str] = Counter()
    started = time.monotonic()
    writer = SideWriter(folder, _RUN, run.rows_per_shard or SIDE_ROWS_PER_SHARD)
    note = "run it again to resume"
    try:
        with closing(results), observer.captioning(total, None):  # type: ignore[type-var]  # a generator
            for clip, measured in results:
                with uninterrupted():
                    rows = scored.with_hash(score_rows(clip, measured))
                    writer.write([*feature_rows(clip, measured), *rows])
                    statuses["error" if any(row.error_stage for row in rows) else "scored"] += 1
                    _tell(observer, rows, statuses.total())
                    if writer.is_due:
                        writer.flush()
        note = "" if statuses else _NOTHING
    finally:
        with uninterrupted():
            writer.flush()
        summary = RunSummary(dict(statuses), time.monotonic() - started, run.folder, note=note)
        _finished(observer, summary)
    return summary


def _tell(observer: Observer, rows: Sequence[ScoreRow], done: int) -> None:
    observer.scored(rows)
    for message in dict.fromkeys(row.error_message for row in rows if row.error_message):
        observer.problem(message)
    observer.progress(done, "")


def _finished(observer: Observer, summary: RunSummary) -> RunSummary:
    observer.finished(summary)
    return summary
