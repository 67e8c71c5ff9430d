"""Captions of a dataset, rewritten by a model of an endpoint: ``framescribe.rewrite``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from os import PathLike, fspath
from typing import Literal

from framescribe.dataset.lock import locked
from framescribe.dataset.side_writer import SideWriter
from framescribe.dataset.store import RowFolder
from framescribe.endpoint.answers import Answer
from framescribe.endpoint.client import Client
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import FramescribeError
from framescribe.export.judged import Accept
from framescribe.interrupts import uninterrupted
from framescribe.pipeline.observer import Observer, RunSummary
from framescribe.rewrite_row import RewriteRow
from framescribe.rewriting.attempt import Attempt
from framescribe.rewriting.recipe import recipe_of
from framescribe.rewriting.rewrite_run import RewriteRun

_ROWS_PER_SHARD = 500


def rewrite(
    folder: str | PathLike[str],
    endpoint: Endpoint,
    variant: str,
    *,
    preset: str | None = None,
    instruction: str | None = None,
    max_words: int | None = None,
    language: str | None = None,
    schema: str | None = None,
    temperature: float | None = None,
    accept: Accept | None = None,
    where: str | Sequence[str] = (),
    limit: int | None = None,
    tries: int = 3,
    redo: Literal["failed"] | None = None,
    progress: bool | Observer = True,
) -> RunSummary:
    """Rewrites the captions of a dataset folder, as ``framescribe rewrite`` does, into its table ``rewrites``.

    Each answer is checked (``docs/rewriting.md``); one that fails is never taken, and a caption without a fit answer
    has a row that says why. It is safe to interrupt: the same call resumes, and rewrites again what was captioned or
    edited anew, or rewritten by other settings.

    >>> from framescribe import Endpoint, rewrite
    >>> rewrite("captions/", Endpoint("http://gpu:8000"), "short", preset="short")  # doctest: +SKIP

    Args:
        folder: of a dataset, or a URL of one.
        endpoint: whose model rewrites.
        variant: name of the result: lower-case letters, digits and ``_``.
        preset: a preset's name, with its checks: ``short``, ``medium``, ``plain``, ``translate``, ``tags``, ``json``.
        instruction: what to do, in words of your own, in place of a preset.
        max_words: words that a text has at most; in Chinese and Japanese, characters.
        language, schema: code of the language to write in, such as ``zh``; text of a JSON Schema that an answer fits.
        temperature: of sampling; by default 0, which is greedy.
        accept: as in ``export``: ``accepted`` or ``reviewed`` captions only; None: all good ones that nobody rejected.
        where: a condition in SQL over the columns; of several all must hold.
        limit: rewrite the first so many captions of those left to do.
        tries: answers to ask for, for one caption.
        redo: ``failed`` rewrites again also what failed.
        progress: True shows a bar; False shows nothing; an ``Observer`` is told of everything.

    Returns:
        How many captions were ``rewritten``, how many had an ``error``, and how long it took.

    Raises:
        UsageError: a value that makes no sense, no captions, an endpoint that cannot be used, or a spent budget.
        DeviceError, OSError: the endpoint does not answer, or rows cannot be written, any more. What was done is kept.
    """
    checks = {"max_words": max_words, "language": language, "schema": schema, "temperature": temperature}
    run = RewriteRun(
        folder=fspath(folder), variant=variant, recipe=recipe_of(preset, instruction, **checks), accept=accept,
        where=where, limit=limit, tries=tries, redo=redo,
    )  # fmt: skip
    if isinstance(progress, Observer):
        return run_rewriting(run, endpoint, progress)
    from framescribe.pipeline.progress import ProgressBar

    return run_rewriting(run, endpoint, ProgressBar() if progress else Observer())


def run_rewriting(run: RewriteRun, endpoint: Endpoint, observer: Observer) -> RunSummary:
    """Carries out a run; ``rewrite`` says what it returns and raises."""
    next(
        run.captions(), None
    )  # no captions, or a condition that makes no sense: told before anything is made
    folder = RowFolder(run.folder)
    with locked(folder):
        folder.clean()
        captions = list(islice(run.left(folder), run.limit))
        if not captions:
            summary = RunSummary(output=run.folder, note="nothing to do: no caption is left to rewrite")
            observer.finished(summary)
            return summary
        with Client(endpoint) as client:
            client.probe()
            attempts = (Attempt(key, text, run.variant, run.recipe, run.tries) for key, text in captions)
            window = endpoint.concurrency * len(endpoint.urls)
            return _carry_out(run, rows_of(attempts, client, window), len(captions), folder, observer)


def rows_of(attempts: Iterable[Attempt], client: Client, window: int) -> Iterator[RewriteRow]:
    """A row for each attempt, in the order in which they end.

    Args:
        attempts: what to ask.
        client: whom.
        window: how many are on their way at a time.

    Raises:
        UsageError, DeviceError: nothing is answered any more. What was on its way then still gets its row, if it can.
    """
    waiting = iter(attempts)
    asked: dict[Future[Answer], Attempt] = {}
    fatal: FramescribeError | None = None
    while True:
        if fatal is None:
            for attempt in islice(waiting, window - len(asked)):
                asked[attempt.ask(client)] = attempt
        if not asked:
            break
        for each in wait(asked, return_when=FIRST_COMPLETED).done:
            attempt = asked.pop(each)
            try:
                row = attempt.take(each)
            except FramescribeError as error:
                fatal = fatal or error
                continue
            if row is not None:
                yield row
            elif fatal is None:
                asked[attempt.ask(client)] = attempt
    if fatal is not None:
        raise fatal


def _carry_out(
    run: RewriteRun, rows: Iterator[RewriteRow], total: int, folder: RowFolder, observer: Observer
) -> RunSummary:
    statuses: Counter[str] = Counter()
    started = time.monotonic()
    writer = SideWriter(folder, run.recipe.digest, _ROWS_PER_SHARD)
    note = "run it again to resume"
    try:
        with observer.captioning(total, None):
            for row in rows:
                with uninterrupted():
                    writer.write([row])
                    statuses["rewritten" if row.error_message is None else "error"] += 1
                    if row.error_message is not None:
                        observer.problem(f"{row.clip_id}: {row.error_message}")
                    observer.progress(statuses.total(), "")
                    if writer.is_due:
                        writer.flush()
        note = ""
    finally:
        with uninterrupted():
            writer.flush()
        summary = RunSummary(
            dict(statuses), time.monotonic() - started, run.folder, unit="caption", note=note
        )
        observer.finished(summary)
    return summary
