"""The executor that captions in this process."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from framescribe.caption_row import CaptionRow
from framescribe.errors import ClipError
from framescribe.interrupts import uninterrupted
from framescribe.pipeline.beside import kept_beside
from framescribe.pipeline.caption_run import CaptionRun
from framescribe.pipeline.executor import MadeBy, Output, Work
from framescribe.pipeline.observer import Observer
from framescribe.side_rows import Scoring
from framescribe.task import DecoderChoice

if TYPE_CHECKING:
    from framescribe.captioner import Captioner


class ThisProcess:
    """Loads the model here, unless the run brings one, and hands each row to the outputs.

    Args:
        run: says with which model.

    Raises:
        UsageError: its device is not there, or cannot compute in such a precision, or decode.
    """

    def __init__(self, run: CaptionRun) -> None:
        if (captioner := run.captioner) is not None:
            captioner.decoders.check(run.limits.decoder)
            precision, revision = captioner.precision, captioner.checkpoint.revision
            self.made_by = MadeBy(str(precision), precision.hardware, lambda: revision)
            return
        from framescribe.model.hub import fetch_checkpoint
        from framescribe.model.precision import choose_precision
        from framescribe.prepare import check_can_decode

        model, precision = run.model, choose_precision(run.model)
        check_can_decode(run.limits.decoder, precision.device)
        self.made_by = MadeBy(
            str(precision),
            precision.hardware,
            lambda: fetch_checkpoint(model.name, model.revision, model.adapter).revision,
        )

    def caption(self, work: Work, observer: Observer) -> None:
        """See ``Executor``. Ctrl-C is met between two rows: a row is written and reported whole, or not at all."""
        run = work.run
        # Decoders that no clip goes to would cost the captions memory.
        decoder = "cpu" if run.limits.workers == 0 or run.scores else run.limits.decoder
        with ExitStack() as stack:
            for output in work.outputs:  # before the model loads, which may take minutes
                stack.enter_context(output)
            captioner = run.captioner or self._loaded(run, decoder, observer)
            outputs, beside, scoring = list(work.outputs), None, None
            if work.session is not None:
                writer = stack.enter_context(work.session.writer())
                outputs.append(writer)
                beside = kept_beside(run, writer.write_beside)
                scoring = Scoring(run.scores, writer.write_beside) if run.scores else None
            work.started = time.monotonic()
            settings = replace(run.settings, repair=run.repairs)
            limits = replace(run.limits, decoder=decoder)
            rows = captioner.caption_tasks(work.tasks, settings, limits, work.spent, beside, scoring)
            with observer.captioning(work.total, captioner.longest_in_progress), closing(rows):
                for row in rows:
                    with uninterrupted():
                        deliver(row, work, outputs, observer)

    def _loaded(self, run: CaptionRun, decoder: DecoderChoice, observer: Observer) -> Captioner:
        from framescribe.captioner import Captioner

        with observer.loading(run.model) as loaded:
            return Captioner.from_pretrained(
                run.model, batch_size=run.batch_size, decoder=decoder, progress=loaded
            )


def deliver(row: CaptionRow, work: Work, outputs: list[Output], observer: Observer) -> None:
    """Hands a row to all outputs, and to the observer."""
    final = row if work.session is None else work.session.hashes.on(row)
    work.statuses[final.caption_status] += 1
    for output in outputs:
        try:
            output.write(final)
        except ClipError as error:
            work.unwritten += 1
            observer.problem(str(error))
    observer.row(final)
